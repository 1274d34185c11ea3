/** A small market: invented instruments that a test moves by itself. */

/** Publishes a quote, a book, a status and a trade for each symbol, all around 100. */
export async function open(broker, symbols) {
  for (const symbol of symbols) {
    await quote(broker, symbol, 100);
    await broker.publish(`stocks.${symbol}.book`, "state", { bids: { "99.99": "100", "99.98": "250" }, asks: { "100.01": "300", "100.02": "50" } });
    await broker.publish(`stocks.${symbol}.status`, "state", { status: "open" });
    await trade(broker, symbol, 100, 1);
  }
}

export function quote(broker, symbol, price) {
  const data = { bid: (price - 0.01).toFixed(2), bid_qty: "100", ask: (price + 0.01).toFixed(2), ask_qty: "200" };
  return broker.publish(`stocks.${symbol}.quote`, "state", data);
}

export function trade(broker, symbol, price, id) {
  return broker.publish(`stocks.${symbol}.trade`, "event", { id, px: price.toFixed(2), qty: "1500", side: "buy" });
}
