// An optimiser changes the trained tensors by their gradients, step by step. Each is a file of its own (adamw, muon,
// sgd) with the formulas that it follows. Not here: the learning rate's schedule, which is a factor that is handed in,
// and clipping, which comes before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <attnlab/api.h>

#include "training/optimiser_choice.h"
#include "training/trained_tensor.h"

namespace attnlab::training {

class StateReader;
class StateWriter;

/// Bits do not depend on the number of threads. Called by one thread, and no step allocates.
class ATTNLAB_API Optimiser {
 public:
  virtual ~Optimiser();
  /// One update of all tensors, which are those that the optimiser was made for, in the same order. `step` counts
  /// from 1; `factor` is that of the schedule: every rate of the options is multiplied by it.
  virtual void step(std::span<const TrainedTensor> tensors, std::int64_t step, double factor) = 0;
  /// As training.csv shows it. Of several rates, that of the optimiser itself.
  [[nodiscard]] virtual double learning_rate(double factor) const = 0;
  /// Moments, kept and restored with the same bits. What is saved is borrowed until the state is written.
  virtual void save(StateWriter& to) const = 0;
  virtual void restore(const StateReader& from) = 0;
};

/// Moments are zero. Gradients may be set later; names, shapes and sizes are used here.
[[nodiscard]] ATTNLAB_API std::unique_ptr<Optimiser> make_optimiser(const OptimiserChoice& choice,
                                                                    std::span<const TrainedTensor> tensors);

// One each; `which` are the tensors that it is responsible for, as indices into those that step() gets.
using TensorIndices = std::vector<std::size_t>;
[[nodiscard]] std::unique_ptr<Optimiser> make_adamw(const AdamwOptions& options, std::span<const TrainedTensor> tensors,
                                                    TensorIndices which);
[[nodiscard]] std::unique_ptr<Optimiser> make_sgd(const SgdOptions& options, std::span<const TrainedTensor> tensors);
[[nodiscard]] std::unique_ptr<Optimiser> make_muon(const MuonOptions& options, std::span<const TrainedTensor> tensors);

}  // namespace attnlab::training
