#include "runner/turn_messages.h"

#include <nlohmann/json.hpp>

#include <attnlab/error.h>

#include "runner/trial_worker.h"

namespace attnlab::experiment {
namespace {

constexpr const char* kWaits = "waits_for_turn";

}  // namespace

TurnPlan SocketTurns::begin(const TimedWork& work) {
  return say(
      {{kWaits,
        {{"passes", work.passes}, {"layers", work.layers}, {"seconds", work.seconds}, {"untimed", work.untimed}}}});
}

TurnPlan SocketTurns::pass(double slice_seconds) {
  return say({{kWaits, {{"slice", slice_seconds}}}});
}

TurnPlan SocketTurns::say(const nlohmann::json& message) {
  TurnPlan plan;
  if (!send_text(socket_, message.dump()) || !read_all(socket_, &plan, sizeof plan))
    throw Error("", "the run that this trial is of has ended");
  return plan;
}

bool send_text(int socket, const std::string& text) {
  const std::uint64_t length = text.size();
  return write_all(socket, &length, sizeof length) && write_all(socket, text.data(), text.size());
}

TurnMessage read_turn_message(const nlohmann::json& message, const TimedWork& before) {
  const auto waits = message.find(kWaits);
  if (waits == message.end()) return {};
  return {.waits = true,
          .begins = {.passes = waits->value("passes", before.passes),
                     .layers = waits->value("layers", before.layers),
                     .seconds = waits->value("seconds", before.seconds),
                     .untimed = waits->value("untimed", before.untimed)},
          .slice = waits->value("slice", 0.0)};
}

}  // namespace attnlab::experiment
