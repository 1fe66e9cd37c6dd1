// A central system written with the npm package `ocpp-rpc`, as its documentation shows it: strict
// validation of requests and answers, nothing stored. Says its port, runs until SIGTERM.

const { RPCServer } = require("ocpp-rpc");

const answers = {
  BootNotification: () => ({
    status: "Accepted",
    interval: 300,
    currentTime: new Date().toISOString(),
  }),
  Heartbeat: () => ({ currentTime: new Date().toISOString() }),
  MeterValues: () => ({}),
  StartTransaction: () => ({ transactionId: ++transactions, idTagInfo: { status: "Accepted" } }),
  StopTransaction: () => ({}),
};
let transactions = 0;

const server = new RPCServer({ protocols: ["ocpp1.6"], strictMode: true });
server.auth((accept) => accept({}));
server.on("client", (client) => {
  for (const [action, answer] of Object.entries(answers)) client.handle(action, answer);
});
server.listen(0, "127.0.0.1").then((http) => {
  console.log(JSON.stringify({ port: http.address().port }));
});
process.on("SIGTERM", () => process.exit(0));
