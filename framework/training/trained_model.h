// A decoder whose parameters can be trained: f32 masters and gradients of all tensors, the loss of a batch and its
// backward pass. Not here: data (tasks), updates (optimisers), the loop.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <attnlab/api.h>

#include "model/decoder.h"
#include "steps/recording_steps.h"
#include "steps/trained_parameters.h"
#include "tasks/task.h"

namespace attnlab::training {

using tasks::kNoTarget;

/// One sequence: what is fed, and the token asked for after each of them; kNoTarget: nothing is asked there.
struct TrainingSequence {
  std::span<const model::TokenId> input;
  std::span<const model::TokenId> targets;
  double weight = 1;  // of each of its targets in the loss
};

/// What a batch came to.
struct BatchLoss {
  double sum = 0;              // of weight x -ln p(target)
  double weights = 0;          // of all targets
  std::int64_t predicted = 0;  // targets
  std::int64_t correct = 0;    // of them: the token whose logit is larger than every other
};

class ATTNLAB_API TrainedModel {
 public:
  /// The decoder was built with f32 weights, and outlives this.
  explicit TrainedModel(model::Decoder& decoder);
  ~TrainedModel();

  [[nodiscard]] TrainedParameters& parameters() noexcept { return parameters_; }

  /// Adds `weight` times the gradient of the batch's summed loss to the gradients. Sequences begin empty and see only
  /// themselves. The batch is processed in parts of at most kTokens tokens, or one sequence. Error where a component
  /// has no derivative, and where a parameter has none.
  BatchLoss accumulate(std::span<const TrainingSequence> batch, double weight);
  /// Of the calls that follow, with draws that `key` names; see RecordingSteps::set_dropout.
  void set_dropout(double share, std::uint64_t key) noexcept {
    dropout_ = share;
    dropout_key_ = key;
  }
  /// The loss alone.
  BatchLoss evaluate(std::span<const TrainingSequence> batch);

  /// Master, packed copy, gradient, and two averages of the optimiser.
  static constexpr double kBytesOfParameter = 5 * sizeof(float);
  /// Bytes that training with such batches takes: parameters with their gradients, packed copies and the optimiser's
  /// averages, and the buffers of the largest part of a batch. Those are estimated from the last pass.
  [[nodiscard]] double bytes(std::int64_t batch, std::int64_t length) const;

  /// After the masters have changed: the decoder's weights follow.
  void write_back();

 private:
  // Tokens of a part. On 2 threads of a Zen 4, 2048 were 5 to 12 % faster than 8192 in a model of 4 layers of 192: what
  // a layer writes is still in the cache where the next one reads it.
  static constexpr std::int64_t kTokens = 2048;
  struct Targets {
    std::vector<model::TokenId> tokens;  // [rows of the part]
    std::vector<double> weights;         // [rows of the part]
  };

  BatchLoss run(std::span<const TrainingSequence> batch, double weight, bool with_gradients);
  BatchLoss run_part(std::span<const TrainingSequence> part, double weight, bool with_gradients);
  // The loss of hidden states [tokens, hidden_dim]; of_hidden, where it has data, is added to.
  BatchLoss head(TensorView<const float, 2> hidden, const Targets& targets, double weight,
                 TensorView<float, 2> of_hidden);
  void check_reached() const;

  model::Decoder& decoder_;
  TrainedParameters parameters_;
  std::vector<model::ParameterPlace> places_;
  std::vector<std::vector<float>> masters_;  // of the matrices
  std::vector<int> capacities_;              // of the session
  std::optional<model::Session> session_;
  Scratch scratch_;
  std::unique_ptr<RecordingSteps> steps_;
  double dropout_ = 0;
  std::uint64_t dropout_key_ = 0;
  struct Head {
    std::vector<float> rows, of_rows, logits;  // of the rows that are asked for, a part at a time
  } head_;
  bool is_checked_ = false;
  double bytes_per_token_ = 0;  // of the last pass that was undone
};

}  // namespace attnlab::training
