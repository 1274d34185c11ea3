/** An expression for a page that waits for a condition, and reports `window.seen` if it does not hold in time. */
export const untilInPage = (condition) => `new Promise((resolve, reject) => {
  const end = Date.now() + 20000;
  const look = () => (${condition}) ? resolve(true)
    : Date.now() > end ? reject(new Error("not within 20 s: " + ${JSON.stringify(condition)} + " of " + JSON.stringify(window.seen)))
    : setTimeout(look, 5);
  look();
})`;
