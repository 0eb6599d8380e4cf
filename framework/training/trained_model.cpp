#include "training/trained_model.h"

#include <algorithm>
#include <cmath>
#include <string>

#include <attnlab/error.h>
#include <fmt/format.h>

#include "base/at_least.h"
#include "ops/dense_product.h"
#include "ops/vector_kernels.h"
#include "parallel/parallel.h"

namespace attnlab::training {
namespace {

constexpr std::int64_t kLogits = std::int64_t{1} << 22;  // of a part of the head's rows: 16 MiB
constexpr std::int64_t kRowsOfTask = 8;

// Of one row: -ln p(target), and whether the target is the most likely; logits become their gradients, times `weight`.
struct RowLoss {
  double loss = 0;
  bool is_correct = false;
};
RowLoss row_loss(std::span<float> logits, model::TokenId target, float weight, bool with_gradients) {
  const vec::ExpSum found = vec::exp_sum(logits);
  const RowLoss loss{std::log(found.sum) - (static_cast<double>(logits[target]) - found.largest),
                     logits[target] == found.largest && found.is_single};
  if (with_gradients) {
    vec::scaled_exp(logits, found.largest, static_cast<float>(weight / found.sum));
    logits[target] -= weight;
  }
  return loss;
}

}  // namespace

TrainedModel::TrainedModel(model::Decoder& decoder) : decoder_(decoder) {
  if (const model::Architecture architecture = decoder.config().architecture; !model::can_be_trained(architecture))
    throw Error("", fmt::format("models of {} have no backward pass", model::architecture_name(architecture)),
                "use a model that a model YAML can describe, or a checkpoint of such a model");
  places_ = decoder.parameters();
  for (const model::ParameterPlace& place : places_) {
    if (place.matrix == nullptr) {
      TrainedParameter& parameter = parameters_.add(place.name, place.shape, place.values);
      parameters_.bind(parameter, place.values.data(), place.values.size());
      continue;
    }
    const Matrix& matrix = *place.matrix;
    ATTNLAB_CHECK(matrix.type() == ElementType::f32, "a model that is trained has weights of 32 bits");
    std::vector<float>& master = masters_.emplace_back(static_cast<std::size_t>(matrix.out_dim() * matrix.in_dim()));
    for (std::int64_t output = 0; output < matrix.out_dim(); ++output)
      matrix.copy_output(output, std::span(master).subspan(output * matrix.in_dim(), matrix.in_dim()));
    parameters_.bind(parameters_.add(place.name, place.shape, master), matrix);
  }
  steps_ = std::make_unique<RecordingSteps>(scratch_, parameters_);
}

TrainedModel::~TrainedModel() = default;

void TrainedModel::write_back() {
  std::size_t next = 0;
  for (const model::ParameterPlace& place : places_) {
    if (place.matrix == nullptr) continue;
    const std::vector<float>& master = masters_[next++];
    Matrix& matrix = *place.matrix;
    parallel_for(matrix.panels(), Work::numbers(static_cast<double>(master.size())), [&](int panel, WorkerSlot) {
      const std::int64_t first = panel * kPanelOutputs;
      matrix.pack(first,
                  std::span(master).subspan(first * matrix.in_dim(), matrix.panel_outputs(panel) * matrix.in_dim()));
    });
  }
  decoder_.refresh();
}

BatchLoss TrainedModel::accumulate(std::span<const TrainingSequence> batch, double weight) {
  return run(batch, weight, true);
}

BatchLoss TrainedModel::evaluate(std::span<const TrainingSequence> batch) {
  return run(batch, 0, false);
}

BatchLoss TrainedModel::run(std::span<const TrainingSequence> batch, double weight, bool with_gradients) {
  BatchLoss all;
  for (std::size_t first = 0; first < batch.size();) {
    std::size_t end = first;
    std::int64_t tokens = 0;
    while (end < batch.size() && (end == first || tokens + std::ssize(batch[end].input) <= kTokens))
      tokens += std::ssize(batch[end++].input);
    const BatchLoss part = run_part(batch.subspan(first, end - first), weight, with_gradients);
    all.sum += part.sum;
    all.weights += part.weights;
    all.predicted += part.predicted;
    all.correct += part.correct;
    first = end;
  }
  return all;
}

BatchLoss TrainedModel::run_part(std::span<const TrainingSequence> part, double weight, bool with_gradients) {
  std::vector<int> capacities;
  std::vector<model::SequenceTokens> input;
  Targets targets;
  for (const TrainingSequence& sequence : part) {
    input.push_back({static_cast<int>(capacities.size()), sequence.input, Phase::last_prefill});
    capacities.push_back(static_cast<int>(sequence.input.size()));
    targets.tokens.insert(targets.tokens.end(), sequence.targets.begin(), sequence.targets.end());
    targets.weights.insert(targets.weights.end(), sequence.targets.size(), sequence.weight);
  }
  // Batches are mostly alike: the caches keep their memory.
  if (!session_ || capacities != capacities_) session_.emplace(decoder_.make_session(capacities));
  capacities_ = capacities;
  session_->clear();
  model::Session& session = *session_;
  if (!with_gradients) return head(decoder_.forward(session, input), targets, 0, {});
  steps_->set_dropout(static_cast<float>(dropout_), dropout_key_++);  // each part has draws of its own
  try {
    const TensorView<const float, 2> hidden = [&] {
      const model::WithSteps recorded(decoder_, *steps_);
      return decoder_.forward(session, input);
    }();
    const BatchLoss loss = head(hidden, targets, weight, steps_->gradient(hidden));
    steps_->backward();
    bytes_per_token_ = static_cast<double>(steps_->pass_bytes()) / static_cast<double>(hidden.extent(0));
    if (!is_checked_) check_reached();
    is_checked_ = true;
    return loss;
  } catch (...) {
    steps_->forget();
    throw;
  }
}

double TrainedModel::bytes(std::int64_t batch, std::int64_t length) const {
  double parameters = 0;
  for (const TrainedParameter& parameter : parameters_.all())
    parameters += static_cast<double>(parameter.values.size());
  // Parts are filled up with what a mixture has of shorter sequences.
  const std::int64_t tokens = std::max(length, std::min(kTokens, batch * length));
  return parameters * kBytesOfParameter + static_cast<double>(tokens) * bytes_per_token_;
}

void TrainedModel::check_reached() const {
  for (const TrainedParameter& parameter : parameters_.all())
    if (!parameter.is_reached)
      throw Error(parameter.name, "the component that declares this parameter does not differentiate by it",
                  "its derivative is missing: the parameter would stay as it is");
}

BatchLoss TrainedModel::head(TensorView<const float, 2> hidden, const Targets& targets, double weight,
                             TensorView<float, 2> of_hidden) {
  const std::int64_t vocab = decoder_.config().vocab_size, width = hidden.extent(1);
  const bool with_gradients = of_hidden.data() != nullptr;
  std::vector<std::int64_t> asked;
  for (std::int64_t row = 0; row < std::ssize(targets.tokens); ++row)
    if (targets.tokens[row] != kNoTarget) asked.push_back(row);
  BatchLoss all{.predicted = std::ssize(asked)};
  const std::int64_t most = std::max<std::int64_t>(1, kLogits / vocab);
  const TrainedMatrix matrix = parameters_.matrix(decoder_.head());
  const std::int64_t at_once = std::min(most, std::ssize(asked));
  float* const rows = at_least(head_.rows, at_once * width);
  float* const of_rows = at_least(head_.of_rows, at_once * width);
  float* const logits = at_least(head_.logits, at_once * vocab);
  for (std::int64_t first = 0; first < std::ssize(asked); first += most) {
    const std::int64_t count = std::min(most, std::ssize(asked) - first);
    for (std::int64_t i = 0; i < count; ++i) std::copy_n(hidden.row(asked[first + i]).data(), width, rows + i * width);
    decoder_.logits({rows, {count, width}}, {logits, {count, vocab}});
    std::vector<RowLoss> losses(static_cast<std::size_t>(count));
    const Work work = Work::numbers(static_cast<double>(count * vocab));
    parallel_for(static_cast<int>((count + kRowsOfTask - 1) / kRowsOfTask), work, [&](int task, WorkerSlot) {
      for (std::int64_t i = task * kRowsOfTask; i < std::min((task + 1) * kRowsOfTask, count); ++i)
        losses[i] = row_loss({logits + i * vocab, static_cast<std::size_t>(vocab)}, targets.tokens[asked[first + i]],
                             static_cast<float>(weight * targets.weights[asked[first + i]]), with_gradients);
    });
    for (std::int64_t i = 0; i < count; ++i) {
      const double of_row = targets.weights[asked[first + i]];
      all.sum += of_row * losses[i].loss;
      all.weights += of_row;
      all.correct += losses[i].is_correct ? 1 : 0;
    }
    if (!with_gradients) continue;
    DenseProduct product{.a = logits,
                         .a_stride = vocab,
                         .a_transposed = false,
                         .b = matrix.values,
                         .b_stride = width,
                         .b_transposed = false,
                         .out = of_rows,
                         .out_stride = width,
                         .rows = count,
                         .columns = width,
                         .depth = vocab,
                         .accumulate = false,
                         .arithmetic = decoder_.head().arithmetic()};
    dense_product(product);
    for (std::int64_t i = 0; i < count; ++i)
      for (std::int64_t j = 0; j < width; ++j) of_hidden(asked[first + i], j) += of_rows[i * width + j];
    product.a_transposed = true;
    product.b = rows;
    product.out = matrix.gradient;
    product.rows = vocab;
    product.depth = count;
    product.accumulate = true;
    dense_product(product);
  }
  return all;
}

}  // namespace attnlab::training
