#include "model/experts.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include <attnlab/ops.h>
#include <fmt/format.h>

namespace attnlab::model {
namespace {

// The `count` with the largest merits, best first; of equal ones the first.
void keep_best(std::vector<int>& indices, int count, std::span<const double> merits) {
  std::ranges::partial_sort(indices, indices.begin() + count,
                            [&](int a, int b) { return merits[a] > merits[b] || (merits[a] == merits[b] && a < b); });
  indices.resize(static_cast<std::size_t>(count));
}

// The groups whose experts may be chosen.
std::vector<char> open_groups(const ExpertsConfig& config, std::span<const double> merits) {
  const int width = config.count / config.groups;
  std::vector<double> of_group;
  for (int group = 0; group < config.groups; ++group) {
    double best = -std::numeric_limits<double>::infinity(), second = best;
    for (const double merit :
         merits.subspan(static_cast<std::size_t>(group * width), static_cast<std::size_t>(width))) {
      second = std::max(second, std::min(best, merit));
      best = std::max(best, merit);
    }
    of_group.push_back(config.groups_by_two_best ? best + second : best);
  }
  std::vector<int> order(static_cast<std::size_t>(config.groups));
  std::iota(order.begin(), order.end(), 0);
  keep_best(order, config.chosen_groups, of_group);
  std::vector<char> is_open(of_group.size());
  for (const int group : order) is_open[group] = 1;
  return is_open;
}

void softmax(std::vector<double>& numbers) {
  const double largest = *std::ranges::max_element(numbers);
  double sum = 0;
  for (double& number : numbers) sum += number = std::exp(number - largest);
  for (double& number : numbers) number /= sum;
}

// gpt-oss: (up + 1) gate sigmoid(1.702 gate), both cut off; in place of up.
void clamped_swiglu(TensorView<const float, 2> gates, float limit, TensorView<float, 2> ups) {
  for_each_index(static_cast<int>(ups.extent(0)), 16.0 * static_cast<double>(ups.elements()), [&](int row) {
    for (std::int64_t i = 0; i < ups.extent(1); ++i) {
      const float gate = std::min(gates(row, i), limit), up = std::clamp(ups(row, i), -limit, limit);
      ups(row, i) = (up + 1) * gate / (1 + std::exp(-1.702F * gate));
    }
  });
}

}  // namespace

std::vector<ExpertShare> choose_experts(const ExpertsConfig& config, std::span<const float> scores,
                                        std::span<const float> choice_bias) {
  std::vector<double> shares(scores.begin(), scores.end());
  if (config.score == RouterScore::softmax) softmax(shares);
  if (config.score == RouterScore::sigmoid)
    for (double& share : shares) share = 1 / (1 + std::exp(-share));
  std::vector<double> merits = shares;
  for (std::size_t i = 0; i < choice_bias.size(); ++i) merits[i] += choice_bias[i];
  std::vector<int> order(merits.size());
  std::iota(order.begin(), order.end(), 0);
  if (config.groups > 1) {
    const std::vector<char> is_open = open_groups(config, merits);
    std::erase_if(order, [&](int expert) { return is_open[expert / (config.count / config.groups)] == 0; });
  }
  keep_best(order, config.chosen, merits);
  std::vector<double> chosen;
  for (const int expert : order) chosen.push_back(shares[expert]);
  if (config.score == RouterScore::softmax_of_chosen) softmax(chosen);
  if (config.renormalises) {
    const double sum = std::accumulate(chosen.begin(), chosen.end(), 1e-20);
    for (double& share : chosen) share /= sum;
  }
  std::vector<ExpertShare> result;
  for (std::size_t i = 0; i < order.size(); ++i)
    result.push_back({order[i], static_cast<float>(config.scale * chosen[i])});
  return result;
}

void Experts::load(const ModelConfig& config, const std::string& prefix, WeightStore& weights) {
  config_ = *config.experts;
  activation_ = config.activation;
  const std::int64_t hidden = config.hidden_dim, inner = config_.inner_dim, count = config_.count;
  const auto matrix = [&](const std::string& name, std::int64_t out, std::int64_t in) {
    const std::int64_t shape[] = {out, in};
    return std::make_unique<Matrix>(weights.matrix(prefix + name, shape));
  };
  const auto values = [&](const std::string& name, std::int64_t width) {
    const std::int64_t shape[] = {width};
    return weights.values(prefix + name, shape);
  };
  router_ = matrix("gate.weight", count, hidden);
  if (config_.has_bias) router_bias_ = values("gate.bias", count);
  if (config_.has_choice_bias) choice_bias_ = values("gate.e_score_correction_bias", count);
  for (std::int64_t index = 0; index < count; ++index) {
    const std::string of = fmt::format("experts.{}.", index);
    Expert& expert = experts_.emplace_back();
    expert.gate = matrix(of + "gate_proj.weight", inner, hidden);
    expert.up = matrix(of + "up_proj.weight", inner, hidden);
    expert.down = matrix(of + "down_proj.weight", hidden, inner);
    if (!config_.has_bias) continue;
    expert.gate_bias = values(of + "gate_proj.bias", inner);
    expert.up_bias = values(of + "up_proj.bias", inner);
    expert.down_bias = values(of + "down_proj.bias", hidden);
  }
  if (config_.shared_dim > 0) shared_.emplace().load(config, config_.shared_dim, prefix + "shared_experts.", weights);
}

void Experts::run_expert(ModelSteps& steps, const Expert& expert, TensorView<const float, 2> rows,
                         TensorView<float, 2> out) const {
  const Steps::Scope scope(steps);
  const auto inner = steps.rows(rows.extent(0), config_.inner_dim);
  if (config_.clamp > 0) {
    const auto gates = steps.rows(rows.extent(0), config_.inner_dim);
    const Projection both[] = {{*expert.gate, gates, expert.gate_bias}, {*expert.up, inner, expert.up_bias}};
    steps.project(rows, both);
    clamped_swiglu(gates, static_cast<float>(config_.clamp), inner);
  } else {
    steps.gated_project(rows, {*expert.gate, *expert.up, expert.gate_bias, expert.up_bias, activation_}, inner);
  }
  steps.project(inner, {*expert.down, out, expert.down_bias});
}

void Experts::run(ModelSteps& steps, TensorView<const float, 2> input, TensorView<float, 2> out) const {
  const std::int64_t tokens = input.extent(0), hidden = input.extent(1);
  const Steps::Scope scope(steps);
  const auto scores = steps.rows(tokens, config_.count);
  steps.project(input, {*router_, scores, router_bias_});
  std::vector<std::vector<ExpertShare>> of_token(static_cast<std::size_t>(tokens));
  for_each_index(static_cast<int>(tokens), 16.0 * static_cast<double>(scores.elements()),
                 [&](int token) { of_token[token] = choose_experts(config_, scores.row(token), choice_bias_); });
  // [count] the tokens of each expert, and their shares.
  std::vector<std::vector<std::pair<std::int64_t, float>>> of_expert(experts_.size());
  for (std::int64_t token = 0; token < tokens; ++token)
    for (const ExpertShare& chosen : of_token[token]) of_expert[chosen.expert].emplace_back(token, chosen.share);
  if (shared_) {
    shared_->run(steps, input, steps.rows(tokens, config_.shared_dim), out);
  } else {
    for (std::int64_t token = 0; token < tokens; ++token) std::ranges::fill(out.row(token), 0.0F);
  }
  // In the order of the experts, so that sums do not depend on threads.
  for (std::size_t index = 0; index < experts_.size(); ++index) {
    const auto& chosen = of_expert[index];
    if (chosen.empty()) continue;
    const Steps::Scope of_one(steps);
    const auto count = static_cast<std::int64_t>(chosen.size());
    const auto rows = steps.rows(count, hidden), results = steps.rows(count, hidden);
    for (std::int64_t i = 0; i < count; ++i) std::ranges::copy(input.row(chosen[i].first), rows.row(i).begin());
    run_expert(steps, experts_[index], rows, results);
    for_each_index(static_cast<int>(count), static_cast<double>(results.elements()), [&](int i) {
      const std::span<float> to = out.row(chosen[i].first);
      const std::span<const float> from = results.row(i);
      for (std::size_t column = 0; column < to.size(); ++column) to[column] += chosen[i].second * from[column];
    });
  }
}

std::size_t Experts::bytes() const noexcept {
  if (!is_there()) return 0;
  std::size_t sum = router_->bytes() + sizeof(float) * (router_bias_.size() + choice_bias_.size());
  for (const Expert& expert : experts_) {
    for (const Matrix* matrix : {expert.gate.get(), expert.up.get(), expert.down.get()}) sum += matrix->bytes();
    sum += sizeof(float) * (expert.gate_bias.size() + expert.up_bias.size() + expert.down_bias.size());
  }
  return sum + (shared_ ? shared_->bytes() : 0);
}

}  // namespace attnlab::model
