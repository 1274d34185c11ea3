// uWebSockets' own publish and subscribe, in its best setting.
//
//   server PORT
//
// Compiled with -DTLS, it speaks TLS with the certificate cert.pem and the key key.pem of the folder CREDENTIALS.
//
// A client sends "S a,b" to subscribe to the topics a and b, or a topic, a line feed and a payload to publish it;
// subscribers get the payload as a text message. There is no JSON to parse.

#include <App.h>

#include <cstdlib>
#include <iostream>

#ifdef TLS
using App = uWS::SSLApp;
#else
using App = uWS::App;
#endif

struct Update {
  std::string topic, payload;
};

struct Client {};

int main(int, char **arguments) {
  const int port = std::atoi(arguments[1]);
  // Points into these as long as the server runs.
  const char *folder = std::getenv("CREDENTIALS");
  const std::string key = std::string(folder ? folder : ".") + "/key.pem", cert = std::string(folder ? folder : ".") + "/cert.pem";
  App app({.key_file_name = key.c_str(), .cert_file_name = cert.c_str()});
  std::vector<Update> waiting;
  // Publishing from inside the message handler makes uWebSockets write more often. Publishing everything that a turn of
  // the loop has read at once lets the frames of a subscriber share a write.
  const auto publish_waiting = [&] {
    for (const Update &update : waiting) app.publish(update.topic, update.payload, uWS::OpCode::TEXT, false);
    waiting.clear();
  };
  const auto on_message = [&](auto *socket, std::string_view text, uWS::OpCode) {
    if (text.substr(0, 2) == "S ") {
      for (size_t at = 2, end; at < text.size(); at = end + 1) {
        end = std::min(text.find(',', at), text.size());
        socket->subscribe(text.substr(at, end - at));
      }
    } else if (const size_t line = text.find('\n'); line != text.npos) {
      if (waiting.empty()) uWS::Loop::get()->defer(publish_waiting);
      waiting.push_back({std::string(text.substr(0, line)), std::string(text.substr(line + 1))});
    }
  };
  app.ws<Client>("/*", {
    .compression = uWS::DISABLED,
    // More than loadgen sends: at most 60 kB and a topic.
    .maxPayloadLength = 1 << 20,
    // Subscribers only listen. By default they would be disconnected after two minutes.
    .idleTimeout = 0,
    // Bytes that may wait for a slow subscriber before messages to it are dropped silently: as many as with
    // nats-server. The default is 64 KiB, 500 messages of the usual length.
    .maxBackpressure = 64 << 20,
    .message = on_message,
  });
  app.listen("127.0.0.1", port, [](auto *socket) {
    if (!socket) std::cerr << "cannot listen on this port" << std::endl, std::exit(1);
  });
  app.run();
}
