#include "steps/checking_steps.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include <fmt/format.h>

#include "base/convert.h"
#include "ops/matrix.h"
#include "ops/products.h"

namespace attnlab {
namespace {

constexpr std::int64_t kOutputsOfProduct = 4;  // where not all are looked at: each is read across its whole matrix

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

double activated(Activation activation, double x) {
  switch (activation) {
    case Activation::silu:
      return x * sigmoid(x);
    case Activation::gelu:
      return x * std::erfc(-x / std::numbers::sqrt2) / 2;
    case Activation::gelu_pytorch_tanh:
      return x / 2 * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
    case Activation::relu:
      return x < 0 ? 0 : x;
    case Activation::relu2:
      return x < 0 ? 0 : x * x;
  }
  return x;
}

// 1 / sqrt(mean of squares + eps)
template <class Number>
double norm_factor(std::int64_t width, float eps, const Number& number) {
  double squares = 0;
  for (std::int64_t i = 0; i < width; ++i) squares += number(i) * number(i);
  return 1 / std::sqrt(squares / static_cast<double>(width) + eps);
}

}  // namespace

std::string StepDeviation::text() const {
  if (step.empty()) return "nothing was compared";
  std::string place = fmt::format("{} of layer {}", step, layer);
  if (token >= 0) place += fmt::format(", token {}", token);
  if (head >= 0) place += fmt::format(", head {}", head);
  return what.empty() ? place : place + ": " + what;
}

CheckingSteps::CheckingSteps(Scratch& scratch, RowStep row_step, const CheckingLimits& limits, ModelSteps* inner)
    : ThroughSteps(scratch, inner), row_step_(std::move(row_step)), limits_(limits), record_(limits.row_stride) {}

CheckingSteps::~CheckingSteps() = default;

void CheckingSteps::take(const char* step, const CallComparison& comparison, const std::set<std::string>& formulas) {
  if (comparison.count() == 0) return;
  if (formulas.empty()) independent_steps_.insert(step);
  formulas_.insert(formulas.begin(), formulas.end());
  StepDeviation& worst = formulas.empty() ? independent_ : self_consistent_;
  if (worst.step.empty() || comparison.deviation() > worst.deviation)
    worst = {comparison.deviation(), step, layer_number(), comparison.token(), comparison.head()};
}

void CheckingSteps::fault(const char* step, std::int64_t token, std::int64_t head, std::string what) {
  if (std::isinf(independent_.deviation)) return;  // the first one is named
  independent_ = {std::numeric_limits<double>::infinity(), step, layer_number(), token, head, std::move(what)};
}

CheckingSteps::Tokens CheckingSteps::chosen_tokens(std::int64_t tokens) const {
  const std::int64_t count = std::min(tokens, limits_.tokens);
  Tokens chosen;
  for (std::int64_t i = 1; i <= count; ++i) chosen.push_back(i * tokens / count - 1);
  return chosen;
}

std::vector<float> CheckingSteps::copied(TensorView<const float, 3> rows, const Tokens& tokens) {
  std::vector<float> copy;
  copy.reserve(tokens.size() * rows.extent(1) * rows.extent(2));
  for (const std::int64_t token : tokens)
    for (std::int64_t head = 0; head < rows.extent(1); ++head)
      for (std::int64_t i = 0; i < rows.extent(2); ++i) copy.push_back(rows(token, head, i));
  return copy;
}

template <class Right, class Found>
void CheckingSteps::check_product(const char* step, TensorView<const float, 2> input, std::int64_t outputs,
                                  const Right& right, const Found& found) {
  if (input.extent(0) == 0) return;
  const bool is_whole = std::isinf(limits_.multiply_adds);
  const std::int64_t looked_at = is_whole ? outputs : std::min(outputs, kOutputsOfProduct);
  Tokens tokens = chosen_tokens(input.extent(0));
  const auto most = static_cast<std::size_t>(
      std::clamp(limits_.multiply_adds / static_cast<double>(looked_at * input.extent(1)), 1.0, 1e9));
  if (tokens.size() > most) tokens.erase(tokens.begin(), tokens.end() - static_cast<std::ptrdiff_t>(most));
  CallComparison comparison;
  const std::int64_t turn = is_whole ? 0 : products_++;
  for (std::int64_t i = 0; i < looked_at; ++i) {
    const std::int64_t output = (i * outputs / looked_at + turn) % outputs;
    const auto slow = right(output);
    for (const std::int64_t token : tokens) comparison.compare(found(token, output), slow(input, token), token, -1);
  }
  take(step, comparison);
}

namespace {

// One output of a matrix, from the weights as they are stored and the numbers that are multiplied.
class SlowOutput {
 public:
  SlowOutput(const Matrix& weight, std::span<const float> bias, std::int64_t output, std::int64_t tokens)
      : arithmetic_(multiplied_in(weight, tokens)), weights_(weight.in_dim()), bias_(bias.empty() ? 0 : bias[output]) {
    weight.copy_output(output, weights_);
  }
  double operator()(TensorView<const float, 2> input, std::int64_t token) const {
    double sum = bias_;
    for (std::size_t i = 0; i < weights_.size(); ++i) sum += multiplied(weights_[i]) * multiplied(input(token, i));
    return sum;
  }

 private:
  [[nodiscard]] double multiplied(float number) const {
    return arithmetic_ == Arithmetic::f32 ? number : from_bf16(to_bf16(number));
  }

  Arithmetic arithmetic_;
  std::vector<float> weights_;
  double bias_;
};

}  // namespace

void CheckingSteps::project(TensorView<const float, 2> input, std::span<const Projection> projections) {
  ThroughSteps::project(input, projections);
  for (const Projection& projection : projections)
    check_product(
        "project", input, projection.weight.out_dim(),
        [&](std::int64_t output) { return SlowOutput(projection.weight, projection.bias, output, input.extent(0)); },
        [&](std::int64_t token, std::int64_t output) { return projection.out(token, output); });
}

void CheckingSteps::gated_project(TensorView<const float, 2> input, const GatedProjection& halves,
                                  TensorView<float, 2> out) {
  ThroughSteps::gated_project(input, halves, out);
  check_product(
      "gated_project", input, halves.gate.out_dim(),
      [&](std::int64_t output) {
        return [gate = SlowOutput(halves.gate, halves.gate_bias, output, input.extent(0)),
                up = SlowOutput(halves.up, halves.up_bias, output, input.extent(0)),
                activation = halves.activation](TensorView<const float, 2> from, std::int64_t token) {
          return activated(activation, gate(from, token)) * up(from, token);
        };
      },
      [&](std::int64_t token, std::int64_t output) { return out(token, output); });
}

void CheckingSteps::activate(Activation activation, TensorView<float, 2> rows) {
  const Tokens tokens = chosen_tokens(rows.extent(0));
  std::vector<double> right;
  for (const std::int64_t token : tokens)
    for (const float number : rows.row(token)) right.push_back(activated(activation, number));
  ThroughSteps::activate(activation, rows);
  CallComparison comparison;
  const double* number = right.data();
  for (const std::int64_t token : tokens)
    for (const float found : rows.row(token)) comparison.compare(found, *number++, token, -1);
  take("activate", comparison);
}

void CheckingSteps::norm(TensorView<const float, 3> from, std::span<const float> weight, float eps,
                         TensorView<float, 3> to) {
  const Tokens tokens = chosen_tokens(from.extent(0));
  const std::vector<float> before = copied(from, tokens);
  ThroughSteps::norm(from, weight, eps, to);
  CallComparison comparison;
  const float* numbers = before.data();
  for (const std::int64_t token : tokens)
    for (std::int64_t head = 0; head < to.extent(1); ++head, numbers += to.extent(2)) {
      const double factor = norm_factor(to.extent(2), eps, [&](std::int64_t i) -> double { return numbers[i]; });
      for (std::int64_t i = 0; i < to.extent(2); ++i)
        comparison.compare(to(token, head, i), factor * numbers[i] * weight[i], token, head);
    }
  take("norm", comparison);
}

void CheckingSteps::add_norm(TensorView<float, 2> x, const float* delta, const Norm& norm, TensorView<float, 2> out) {
  const Tokens tokens = chosen_tokens(x.extent(0));
  const std::int64_t width = x.extent(1);
  std::vector<double> sums;  // [chosen tokens, width]
  for (const std::int64_t token : tokens)
    for (std::int64_t i = 0; i < width; ++i)
      sums.push_back(x(token, i) + (delta == nullptr ? 0.0 : static_cast<double>(delta[token * width + i])));
  ThroughSteps::add_norm(x, delta, norm, out);
  CallComparison of_sum, of_norm;
  const double* sum = sums.data();
  for (const std::int64_t token : tokens) {
    const bool is_layer = norm.kind == NormKind::layer, is_none = norm.kind == NormKind::none;
    const double mean = is_layer ? std::accumulate(sum, sum + width, 0.0) / static_cast<double>(width) : 0;
    const double factor = norm_factor(width, norm.eps, [&](std::int64_t i) { return sum[i] - mean; });
    for (std::int64_t i = 0; i < width; ++i) {
      of_sum.compare(x(token, i), sum[i], token, -1);
      const double normed = is_none ? sum[i] : factor * (sum[i] - mean) * norm.weight[i];
      of_norm.compare(out(token, i), normed + (is_layer ? norm.bias[i] : 0), token, -1);
    }
    sum += width;
  }
  take("add", of_sum);
  take("add_norm", of_norm);
}

void CheckingSteps::gate(TensorView<const float, 2> gates, TensorView<float, 3> rows) {
  const Tokens tokens = chosen_tokens(rows.extent(0));
  const std::vector<float> before = copied(rows, tokens);
  ThroughSteps::gate(gates, rows);
  CallComparison comparison;
  const float* number = before.data();
  const bool is_of_heads = gates.extent(1) == rows.extent(1);
  for (const std::int64_t token : tokens)
    for (std::int64_t head = 0; head < rows.extent(1); ++head)
      for (std::int64_t i = 0; i < rows.extent(2); ++i, ++number)
        comparison.compare(rows(token, head, i),
                           *number * sigmoid(gates(token, is_of_heads ? head : head * rows.extent(2) + i)), token,
                           head);
  take("gate", comparison);
}

void CheckingSteps::silu_multiply(TensorView<const float, 2> gates, TensorView<float, 2> rows) {
  const Tokens tokens = chosen_tokens(rows.extent(0));
  std::vector<double> right;
  for (const std::int64_t token : tokens)
    for (std::int64_t i = 0; i < rows.extent(1); ++i)
      right.push_back(static_cast<double>(rows(token, i)) * gates(token, i) * sigmoid(gates(token, i)));
  ThroughSteps::silu_multiply(gates, rows);
  CallComparison comparison;
  const double* number = right.data();
  for (const std::int64_t token : tokens)
    for (std::int64_t i = 0; i < rows.extent(1); ++i) comparison.compare(rows(token, i), *number++, token, -1);
  take("silu_multiply", comparison);
}

void CheckingSteps::silu(TensorView<float, 3> rows) {
  const Tokens tokens = chosen_tokens(rows.extent(0));
  const std::vector<float> before = copied(rows, tokens);
  ThroughSteps::silu(rows);
  CallComparison comparison;
  const float* number = before.data();
  for (const std::int64_t token : tokens)
    for (std::int64_t head = 0; head < rows.extent(1); ++head)
      for (std::int64_t i = 0; i < rows.extent(2); ++i, ++number)
        comparison.compare(rows(token, head, i), *number * sigmoid(*number), token, head);
  take("silu", comparison);
}

// All that goes in is needed: a token's taps reach over those before it, and into the state.
void CheckingSteps::convolve(std::span<const float> weight, TensorView<float, 2> state, TensorView<float, 3> rows) {
  const ChunkView& chunk = layer().chunk;
  const std::int64_t width = rows.extent(2), channels = rows.extent(1) * width;
  const std::int64_t taps = static_cast<std::int64_t>(weight.size()) / channels;
  std::vector<std::vector<float>> inputs(chunk.sequences());  // [taps - 1 + tokens, channels]
  for (int sequence = 0; sequence < chunk.sequences(); ++sequence) {
    const std::span<const float> held = state.row(sequence);
    inputs[sequence].assign(held.begin(), held.end());
    for (int token = chunk.first(sequence); token < chunk.offsets[sequence + 1]; ++token)
      for (std::int64_t channel = 0; channel < channels; ++channel)
        inputs[sequence].push_back(rows(token, channel / width, channel % width));
  }
  ThroughSteps::convolve(weight, state, rows);
  CallComparison of_rows, of_state;
  for (const std::int64_t token : chosen_tokens(rows.extent(0))) {
    const int sequence = sequence_of(chunk, token);
    for (std::int64_t channel = 0; channel < channels; ++channel) {
      double sum = 0;
      for (std::int64_t tap = 0; tap < taps; ++tap)
        sum += static_cast<double>(weight[channel * taps + tap]) *
               inputs[sequence][(token - chunk.first(sequence) + tap) * channels + channel];
      of_rows.compare(rows(token, channel / width, channel % width), sum, token, channel / width);
    }
  }
  for (int sequence = 0; sequence < chunk.sequences(); ++sequence)
    for (std::int64_t i = 0; i < (taps - 1) * channels; ++i)
      of_state.compare(state(sequence, i), inputs[sequence][chunk.tokens_of(sequence) * channels + i], -1, -1);
  take("convolve", of_rows);
  take("convolve", of_state);
}

void CheckingSteps::blend(TensorView<const float, 3> from, std::span<const float> factors, TensorView<float, 3> to) {
  const Tokens tokens = chosen_tokens(to.extent(0));
  const std::vector<float> before = copied(to, tokens);
  const std::vector<float> added = copied(from, tokens);
  ThroughSteps::blend(from, factors, to);
  CallComparison comparison;
  std::size_t at = 0;
  for (const std::int64_t token : tokens)
    for (std::int64_t head = 0; head < to.extent(1); ++head)
      for (std::int64_t i = 0; i < to.extent(2); ++i, ++at)
        comparison.compare(to(token, head, i),
                           static_cast<double>(factors[0]) * added[at] + static_cast<double>(factors[1]) * before[at],
                           token, head);
  take("blend", comparison);
}

void CheckingSteps::merge(std::span<const AttendedPart> parts, TensorView<float, 3> out, TensorView<float, 2> log_sum) {
  ThroughSteps::merge(parts, out, log_sum);
  CallComparison of_rows, of_log_sums;
  for (const std::int64_t token : chosen_tokens(out.extent(0)))
    for (std::int64_t head = 0; head < out.extent(1); ++head) {
      double sum = 0;  // of exp(log_sum - largest)
      double largest = -std::numeric_limits<double>::infinity();
      for (const AttendedPart& part : parts) largest = std::max<double>(largest, part.log_sum(token, head));
      const bool is_seen = largest > -std::numeric_limits<double>::infinity();
      const auto weight = [&](const AttendedPart& part) {
        return is_seen ? std::exp(part.log_sum(token, head) - largest) : 0.0;
      };
      for (const AttendedPart& part : parts) sum += weight(part);
      for (std::int64_t i = 0; i < out.extent(2); ++i) {
        double right = 0;
        for (const AttendedPart& part : parts)
          if (weight(part) > 0) right += weight(part) / sum * part.out(token, head, i);
        of_rows.compare(out(token, head, i), right, token, head);
      }
      if (log_sum.data() != nullptr)
        of_log_sums.compare(log_sum(token, head), is_seen ? largest + std::log(sum) : largest, token, head);
    }
  take("merge", of_rows);
  take("log_sum of merge", of_log_sums);
}

void CheckingSteps::own_work(const OwnWork& work) {
  ThroughSteps::own_work(work);
  formulas_.insert("unchecked work between its steps");
}

}  // namespace attnlab
