/**
 * The addresses of all brokers of the cluster, as the broker's setting `brokers` has them: it serves this file with them.
 * Without a cluster there are none, and the page stays with the broker that served it.
 *
 * @module
 */
export const brokers = [];
