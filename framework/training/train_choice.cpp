#include "training/train_choice.h"

#include <cmath>
#include <limits>

#include <attnlab/error.h>
#include <fmt/format.h>

namespace attnlab::training {
namespace {

using nlohmann::ordered_json;

ordered_json options_json(const AdamwOptions& options) {
  return {{"lr", options.lr},
          {"betas", {options.beta1, options.beta2}},
          {"eps", options.eps},
          {"weight_decay", options.weight_decay}};
}

ordered_json options_json(const MuonOptions& options) {
  return {{"lr", options.lr},
          {"momentum", options.momentum},
          {"weight_decay", options.weight_decay},
          {"adamw", options_json(options.adamw)}};
}

ordered_json options_json(const SgdOptions& options) {
  return {{"lr", options.lr}, {"momentum", options.momentum}};
}

ordered_json optimiser_json(const OptimiserChoice& choice) {
  return std::visit(
      [](const auto& options) {
        return ordered_json{{options.kName, options_json(options)}};
      },
      choice.options);
}

ordered_json schedule_json(const Schedule& schedule) {
  ordered_json options = {{"warmup", schedule.warmup}};
  if (schedule.kind == ScheduleKind::wsd) options["decay"] = schedule.decay;
  if (schedule.kind != ScheduleKind::constant) options["final"] = schedule.last;
  for (const auto& choice : kChoices<ScheduleKind>)
    if (choice.value == schedule.kind) return {{choice.name, options}};
  return options;
}

}  // namespace

std::string_view length_name(LengthUnit unit) noexcept {
  constexpr std::string_view kNames[] = {"steps", "tokens", "epochs", "seconds"};
  return kNames[static_cast<int>(unit)];
}

std::optional<std::int64_t> steps_of(const TrainChoice& train, double tokens_per_step, std::int64_t examples) {
  const std::string where = train.length.where.text();
  double steps = train.length.count;
  switch (train.length.unit) {
    case LengthUnit::steps:
      break;
    case LengthUnit::tokens:
      steps = std::ceil(steps / tokens_per_step);
      break;
    case LengthUnit::epochs:
      if (examples == std::numeric_limits<std::int64_t>::max())
        throw Error(where, "epochs: the task has no end, so it has no epochs",
                    "say steps or tokens, or limit the task's examples");
      steps = std::floor(steps * static_cast<double>(examples) / static_cast<double>(train.batch));
      break;
    case LengthUnit::seconds:
      return std::nullopt;
  }
  if (steps < 1) throw Error(where, "the run is shorter than a step", "train longer, or make the batch smaller");
  check_schedule(train.schedule, static_cast<std::int64_t>(steps));
  return static_cast<std::int64_t>(steps);
}

ordered_json describe_train(const TrainChoice& train) {
  const double count = train.length.count;
  const bool is_whole = count == std::floor(count);
  ordered_json json = {{"batch", train.batch},
                       {"accumulate", train.accumulate},
                       {std::string(length_name(train.length.unit)),
                        is_whole ? ordered_json(static_cast<std::int64_t>(count)) : ordered_json(count)},
                       {"optimiser", optimiser_json(train.optimiser)},
                       {"schedule", schedule_json(train.schedule)},
                       {"clip", train.clip},
                       {"dropout", train.dropout}};
  if (train.precision != Arithmetic::f32) json["precision"] = arithmetic_name(train.precision);
  if (!train.search.empty()) json["search"] = {{"lr", train.search}};
  if (train.evaluate) json["evaluate"] = {{"every", train.evaluate->every}, {"batches", train.evaluate->batches}};
  if (train.stop && train.stop->accuracy) json["stop"] = {{"accuracy", *train.stop->accuracy}};
  if (train.stop && train.stop->loss) json["stop"] = {{"loss", *train.stop->loss}};
  return json;
}

}  // namespace attnlab::training
