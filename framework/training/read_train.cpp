#include "training/read_train.h"

#include <algorithm>
#include <set>
#include <string>

#include <attnlab/error.h>
#include <fmt/format.h>

#include "config/map_reader.h"
#include "config/plugin_choice.h"
#include "config/quantities.h"
#include "config/scalars.h"
#include "training/train_keys.h"

namespace attnlab::training {
namespace {

using config::MapReader;
using config::Node;
using config::ProblemList;

constexpr double kHighestRate = 1000;
constexpr const char* kRateForm = "write a rate above 0, as 3.0e-3";

// A rate of 0 would train nothing, and look like a plateau.
std::optional<double> read_rate(const Node& node, ProblemList& problems) {
  const auto rate = config::as_real(node, "lr", problems, -config::kInfinity, kHighestRate);
  if (!rate || *rate > 0) return rate;
  problems.add(node.mark(), fmt::format("lr: {} is no learning rate", node.text()), kRateForm);
  return std::nullopt;
}

// `from_search`: a search gives the rate.
double read_own_rate(MapReader& reader, const config::Mark& where, bool from_search, ProblemList& problems) {
  if (const Node* rate = reader.find("lr")) {
    if (from_search)
      problems.add(rate->mark(), "lr: a rate stands beside `search`, which gives the rates",
                   "leave one of the two out");
    return read_rate(*rate, problems).value_or(0);
  }
  if (!from_search && !reader.misspells("lr"))
    problems.add(where, fmt::format("{}: the learning rate is missing", reader.section()),
                 "write lr, or search: {lr: [...]}");
  return 0;
}

void read_betas(const Node& node, AdamwOptions& options, ProblemList& problems) {
  const auto betas = config::as_reals(node, "betas", problems, 0, 0.9999999);
  if (!betas) return;
  if (betas->size() != 2) {
    problems.add(node.mark(), fmt::format("betas: {} numbers, expected two", betas->size()), "write [0.9, 0.95]");
    return;
  }
  options.beta1 = betas->front();
  options.beta2 = betas->back();
}

AdamwOptions read_adamw(const Node& node, const config::Mark& where, bool from_search, ProblemList& problems) {
  AdamwOptions options;
  MapReader reader(node, "adamw", adamw_keys(), problems);
  options.lr = read_own_rate(reader, where, from_search, problems);
  if (const Node* betas = reader.find("betas")) read_betas(*betas, options, problems);
  options.eps = reader.real("eps").value_or(options.eps);
  options.weight_decay = reader.real("weight_decay").value_or(options.weight_decay);
  reader.finish();
  return options;
}

MuonOptions read_muon(const Node& node, const config::Mark& where, bool from_search, ProblemList& problems) {
  MuonOptions options;
  MapReader reader(node, "muon", muon_keys(), problems);
  options.lr = read_own_rate(reader, where, from_search, problems);
  options.momentum = reader.real("momentum").value_or(options.momentum);
  options.weight_decay = reader.real("weight_decay").value_or(options.weight_decay);
  // The search sets muon's own rate; that of its adamw is always written.
  if (const Node* adamw = reader.find("adamw"))
    options.adamw = read_adamw(*adamw, adamw->mark(), /*from_search=*/false, problems);
  reader.finish();
  return options;
}

SgdOptions read_sgd(const Node& node, const config::Mark& where, bool from_search, ProblemList& problems) {
  SgdOptions options;
  MapReader reader(node, "sgd", sgd_keys(), problems);
  options.lr = read_own_rate(reader, where, from_search, problems);
  options.momentum = reader.real("momentum").value_or(options.momentum);
  reader.finish();
  return options;
}

OptimiserChoice read_optimiser(const Node& node, bool from_search, ProblemList& problems) {
  static const std::vector<std::string> kNames = {std::string(AdamwOptions::kName), std::string(MuonOptions::kName),
                                                  std::string(SgdOptions::kName)};
  OptimiserChoice choice;
  const auto chosen = config::read_choice(node, "optimiser", problems);
  if (!chosen) return choice;
  choice.where = chosen->where;
  if (chosen->id == AdamwOptions::kName)
    choice.options = read_adamw(chosen->options, chosen->where, from_search, problems);
  else if (chosen->id == MuonOptions::kName)
    choice.options = read_muon(chosen->options, chosen->where, from_search, problems);
  else if (chosen->id == SgdOptions::kName)
    choice.options = read_sgd(chosen->options, chosen->where, from_search, problems);
  else
    problems.add(chosen->where, fmt::format("optimiser: there is no {}", config::in_quotes(chosen->id)),
                 config::name_remedy(chosen->id, kNames, "optimisers"));
  return choice;
}

Schedule read_schedule(const Node& node, ProblemList& problems) {
  Schedule schedule;
  const auto chosen = config::read_choice(node, "schedule", problems);
  if (!chosen) return schedule;
  schedule.where = chosen->where;
  std::vector<std::string> names;
  bool known = false;
  for (const auto& choice : kChoices<ScheduleKind>) {
    names.emplace_back(choice.name);
    if (choice.name != chosen->id) continue;
    schedule.kind = choice.value;
    known = true;
  }
  if (!known) {
    problems.add(chosen->where, fmt::format("schedule: there is no {}", config::in_quotes(chosen->id)),
                 config::name_remedy(chosen->id, names, "schedules"));
    return schedule;
  }
  const bool is_constant = schedule.kind == ScheduleKind::constant;
  const bool is_wsd = schedule.kind == ScheduleKind::wsd;
  MapReader reader(chosen->options, chosen->id,
                   is_constant ? constant_keys()
                   : is_wsd    ? wsd_keys()
                               : falling_keys(),
                   problems);
  schedule.warmup = reader.integer("warmup").value_or(0);
  if (!is_constant) schedule.last = reader.real("final").value_or(0.1);
  if (is_wsd) schedule.decay = reader.share("decay").value_or(0.2);
  reader.finish();
  return schedule;
}

// One of steps, tokens, epochs and seconds.
RunLength read_length(MapReader& reader, const config::Mark& where, ProblemList& problems) {
  RunLength length;
  const Node* found = nullptr;
  for (const LengthUnit unit : {LengthUnit::steps, LengthUnit::tokens, LengthUnit::epochs, LengthUnit::seconds}) {
    const std::string_view key = length_name(unit);
    const Node* node = reader.find(key);
    if (node == nullptr) continue;
    if (found != nullptr) {
      problems.add(node->mark(),
                   fmt::format("{} stands beside {}: a run has one length", key, length_name(length.unit)),
                   "leave one of the two out");
      continue;
    }
    found = node;
    length.unit = unit;
    length.where = node->mark();
    const bool is_whole = unit == LengthUnit::steps || unit == LengthUnit::tokens;
    if (is_whole)
      length.count = static_cast<double>(config::as_count(*node, key, problems).value_or(1));
    else
      length.count = reader.real(key).value_or(1);
  }
  const bool misspelt =
      std::ranges::any_of(std::initializer_list<std::string_view>{"steps", "tokens", "epochs", "seconds"},
                          [&](std::string_view key) { return reader.misspells(key); });
  if (found == nullptr && !misspelt)
    problems.add(where, "train: the length of the run is missing", "write steps, tokens, epochs or seconds");
  return length;
}

std::vector<double> read_search(const Node& node, ProblemList& problems) {
  MapReader reader(node, "search", search_keys(), problems);
  std::vector<double> rates;
  if (const Node* list = reader.find("lr")) {
    if (!list->is_sequence() || list->items().size() < 2) {
      problems.add(list->mark(),
                   fmt::format("lr: expected a list of two or more rates, got {}",
                               list->is_sequence() ? "one of fewer" : config::describe(*list)),
                   "write [1.0e-3, 3.0e-3]");
    } else {
      std::set<double> seen;
      for (const Node& item : list->items())
        if (const auto rate = read_rate(item, problems)) {
          if (!seen.insert(*rate).second)
            problems.add(item.mark(), fmt::format("lr: {} is there twice", item.text()), "give each once");
          rates.push_back(*rate);
        }
    }
  }
  reader.finish();
  return rates;
}

Evaluation read_evaluation(const Node& node, ProblemList& problems) {
  Evaluation evaluation;
  MapReader reader(node, "evaluate", evaluate_keys(), problems);
  evaluation.every = reader.integer("every").value_or(1);
  evaluation.batches = reader.integer("batches").value_or(evaluation.batches);
  reader.finish();
  return evaluation;
}

EarlyStop read_stop(const Node& node, ProblemList& problems) {
  EarlyStop stop;
  MapReader reader(node, "stop", stop_keys(), problems);
  stop.accuracy = reader.real("accuracy");
  stop.loss = reader.real("loss");
  const bool one = (reader.find("accuracy") != nullptr) != (reader.find("loss") != nullptr);
  if (node.is_map() && !one && !reader.misspells("accuracy") && !reader.misspells("loss"))
    problems.add(node.mark(), "stop: expected one of accuracy and loss", "write {accuracy: 0.99} or {loss: 1.5}");
  reader.finish();
  return stop;
}

// What must fit together.
void check_train(const TrainChoice& train, MapReader& reader, ProblemList& problems) {
  if (train.batch > 0 && train.accumulate > 0 && train.batch % train.accumulate != 0)
    problems.add(reader.find("accumulate")->mark(),
                 fmt::format("accumulate: a batch of {} has no {} equal parts", train.batch, train.accumulate),
                 "write a divisor of the batch");
  for (const char* key : {"search", "stop"})
    if (const Node* node = reader.find(key); node != nullptr && !train.evaluate && reader.find("evaluate") == nullptr)
      problems.add(node->mark(), fmt::format("{}: nothing is measured on held-out data", key),
                   "add evaluate: {every: 200}");
  // Of other lengths the steps are known once the task is.
  if (train.length.unit != LengthUnit::steps) return;
  try {
    check_schedule(train.schedule, static_cast<std::int64_t>(train.length.count));
  } catch (const Error& error) {
    problems.add(train.schedule.where, error);
  }
}

}  // namespace

TrainChoice read_train(const Node& node, ProblemList& problems) {
  TrainChoice train;
  train.where = node.mark();
  MapReader reader(node, "train", train_keys(), problems);
  if (!node.is_map() && !node.is_null()) return train;
  if (const Node* task = reader.find("task")) train.task = *task;
  train.batch = reader.integer("batch").value_or(0);
  train.accumulate = reader.integer("accumulate").value_or(1);
  train.length = read_length(reader, node.mark(), problems);
  if (const Node* search = reader.find("search")) train.search = read_search(*search, problems);
  if (const Node* optimiser = reader.find("optimiser"))
    train.optimiser = read_optimiser(*optimiser, reader.find("search") != nullptr, problems);
  if (const Node* schedule = reader.find("schedule")) train.schedule = read_schedule(*schedule, problems);
  train.clip = reader.real("clip").value_or(train.clip);
  train.dropout = reader.real("dropout").value_or(train.dropout);
  if (const auto precision = reader.choice("precision")) train.precision = *arithmetic_of(*precision);
  if (const Node* evaluate = reader.find("evaluate")) train.evaluate = read_evaluation(*evaluate, problems);
  if (const Node* stop = reader.find("stop")) train.stop = read_stop(*stop, problems);
  reader.finish();
  if (node.is_map()) check_train(train, reader, problems);
  return train;
}

}  // namespace attnlab::training
