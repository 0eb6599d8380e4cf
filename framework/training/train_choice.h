// What `train:` says, checked as far as it can be without running. Not here: how it is written (read_train.h), what the
// task's name means (framework/tasks), and whether model, task and training fit together (the loop asks).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <attnlab/api.h>

#include "base/element.h"
#include "config/node.h"
#include "training/optimiser_choice.h"
#include "training/schedule.h"

namespace attnlab::training {

/// How long a run is: one of these is given.
enum class LengthUnit : std::uint8_t { steps, tokens, epochs, seconds };

struct RunLength {
  LengthUnit unit = LengthUnit::steps;
  double count = 0;  // whole, but for epochs and seconds
  config::Mark where;
};

/// Held-out data: `batches` of them every `every` steps, and after the last.
struct Evaluation {
  std::int64_t every = 0;
  std::int64_t batches = 8;
};

/// The run ends early once held-out data show it. One of them is given.
struct EarlyStop {
  std::optional<double> accuracy;  // at least
  std::optional<double> loss;      // at most, nats a prediction
};

struct TrainChoice {
  config::Node task;            // as it was written
  std::int64_t batch = 0;       // sequences of a step
  std::int64_t accumulate = 1;  // parts that a batch is fed in
  RunLength length;
  OptimiserChoice optimiser;
  Schedule schedule;
  double clip = 1;     // global norm; 0: off
  double dropout = 0;  // share of what is dropped
  Arithmetic precision = Arithmetic::f32;
  std::vector<double> search;  // rates, of which the best is kept; empty: the optimiser's own
  std::optional<Evaluation> evaluate;
  std::optional<EarlyStop> stop;
  config::Mark where;
};

/// Steps of a run; none where only its seconds are known. `tokens_per_step` are those that are predicted, `examples`
/// those of the training split, the highest number where they have no end. Error, at its place, for epochs of an
/// endless task, for a run of less than one step, and where the schedule is longer than the run.
[[nodiscard]] ATTNLAB_API std::optional<std::int64_t> steps_of(const TrainChoice& train, double tokens_per_step,
                                                               std::int64_t examples);

/// Everything but the task, with the defaults: as plans and digests have it.
[[nodiscard]] ATTNLAB_API nlohmann::ordered_json describe_train(const TrainChoice& train);

/// "steps", "tokens" ...: the key.
[[nodiscard]] ATTNLAB_API std::string_view length_name(LengthUnit unit) noexcept;

}  // namespace attnlab::training
