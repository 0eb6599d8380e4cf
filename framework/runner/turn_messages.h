// What a trial's process and the run say to each other while arms take turns (workloads/turns.h). The process sends
// texts, each after its length: a TrialResult, or before that any number of the messages below; after each of these it
// waits for a TurnPlan, which is its turn.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "workloads/turns.h"

namespace attnlab::experiment {

/// The process's side.
class SocketTurns final : public Turns {
 public:
  explicit SocketTurns(int socket) : socket_(socket) {}
  TurnPlan begin(const TimedWork& work) override;
  TurnPlan pass(double slice_seconds) override;

 private:
  TurnPlan say(const nlohmann::json& message);

  int socket_;
};

/// False at the end of the stream.
[[nodiscard]] bool send_text(int socket, const std::string& text);

/// What a message says.
struct TurnMessage {
  bool waits = false;     // for a turn; else it is a result
  TimedWork begins = {};  // where it waits for the first turn of its work; else of the work that it is in
  double slice = 0;       // seconds of the part that it has just done; 0: none
};
[[nodiscard]] TurnMessage read_turn_message(const nlohmann::json& message, const TimedWork& before);

}  // namespace attnlab::experiment
