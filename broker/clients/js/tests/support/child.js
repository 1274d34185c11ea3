/** Programs that a test starts. The kernel ends them with the test's process, however that one ends. */
import { spawn } from "node:child_process";

/** Starts a program, as `spawn` does; `signal` is what it gets when this process is gone and has not ended it. */
export function start(program, args, options, signal = "KILL") {
  return spawn("setpriv", ["--pdeathsig", signal, program, ...args], options);
}
