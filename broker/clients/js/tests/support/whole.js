/** Streams that have to stay complete, whatever happens to their connection. */
import assert from "node:assert/strict";
import { watch } from "./client.js";
import { until } from "./wait.js";

/** The numbers from the first to the last. */
export const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

/** The kind and data of consecutive updates of a book whose levels come and go, beginning with a whole state. */
export const patched = (number) => (number === 1 ? ["state", { 1: 1 }] : ["patch", { [number % 7]: number, [(number + 3) % 7]: null }]);

/** Waits until a subscription has the broker's state. */
export async function holdsWhatBrokerHas(broker, subscription, topic) {
  const { data } = await (await fetch(`http://${broker.address}/v1/topics/${topic}`)).json();
  await until(() => JSON.stringify(subscription.state(topic)) === JSON.stringify(data), "the state that the broker has");
}

/** Cuts the connection again and again while updates come by name, by a pattern, and of a state: none is missing, none comes twice. */
export async function staysWholeWhileCut({ broker, proxy, made }) {
  const named = watch(made, "again.trade"), pattern = watch(made, "again.>"), book = watch(made, "again.book");
  await named.came("topic again.trade live");
  for (const number of numbers(1, 120)) {
    await broker.publish("again.trade", "event", number);
    await broker.publish("again.book", ...patched(number));
    if (number % 15 === 0) proxy.cut();
  }
  await named.came("update again.trade 120");
  await pattern.came("update again.trade 120");
  assert.deepEqual(named.data("again.trade"), numbers(1, 120));
  assert.deepEqual(pattern.data("again.trade"), numbers(1, 120));
  await holdsWhatBrokerHas(broker, book.subscription, "again.book");
  assert.deepEqual(made.errors, []);
}
