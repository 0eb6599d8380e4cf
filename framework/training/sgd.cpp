// Gradient descent with momentum, without dampening, Nesterov or decay:
//   m = momentum m + g        p = p - lr m
#include <numeric>

#include "training/element_blocks.h"
#include "training/kept_state.h"
#include "training/optimiser.h"
#include "training/updates.h"

namespace attnlab::training {
namespace {

class Sgd final : public Optimiser {
 public:
  Sgd(const SgdOptions& options, std::span<const TrainedTensor> tensors) : options_(options) {
    TensorIndices all(tensors.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    blocks_ = element_blocks(tensors, all);
    for (const TrainedTensor& tensor : tensors) {
      names_.push_back("sgd.momentum|" + tensor.name);
      moments_.emplace_back(tensor.values.size());
    }
  }

  void step(std::span<const TrainedTensor> tensors, std::int64_t, double factor) override {
    ATTNLAB_CHECK(tensors.size() == moments_.size(), "a step of other tensors");
    const auto momentum = static_cast<float>(options_.momentum);
    const auto rate = static_cast<float>(options_.lr * factor);
    for_each_block(blocks_, [&](const ElementBlock& block) {
      const TrainedTensor& tensor = tensors[block.tensor];
      sgd_update(momentum, rate, block.of(tensor.values), block.of(tensor.gradient),
                 block.of(std::span(moments_[block.tensor])));
    });
  }

  [[nodiscard]] double learning_rate(double factor) const override { return options_.lr * factor; }

  void save(StateWriter& to) const override {
    for (std::size_t i = 0; i < names_.size(); ++i) to.add(names_[i], moments_[i]);
  }

  void restore(const StateReader& from) override {
    for (std::size_t i = 0; i < names_.size(); ++i) from.read(names_[i], moments_[i]);
  }

 private:
  SgdOptions options_;
  std::vector<ElementBlock> blocks_;
  std::vector<std::string> names_;
  std::vector<std::vector<float>> moments_;
};

}  // namespace

std::unique_ptr<Optimiser> make_sgd(const SgdOptions& options, std::span<const TrainedTensor> tensors) {
  return std::make_unique<Sgd>(options, tensors);
}

}  // namespace attnlab::training
