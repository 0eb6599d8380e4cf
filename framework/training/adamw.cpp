// AdamW: Adam with weight decay apart from the gradient (Loshchilov and Hutter 2019; as torch.optim.AdamW has it).
//   m = b1 m + (1 - b1) g        v = b2 v + (1 - b2) g^2
//   p = p - lr wd p - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
// wd is 0 for tensors of fewer than two dimensions: norms, biases, sinks. Embeddings, head and tables decay.
#include <cmath>

#include "training/element_blocks.h"
#include "training/kept_state.h"
#include "training/optimiser.h"
#include "training/updates.h"

namespace attnlab::training {
namespace {

class Adamw final : public Optimiser {
 public:
  Adamw(const AdamwOptions& options, std::span<const TrainedTensor> tensors, TensorIndices which)
      : options_(options),
        which_(std::move(which)),
        blocks_(element_blocks(tensors, which_)),
        moments_(tensors.size()) {
    for (const std::size_t tensor : which_) {
      Moments& moments = moments_[tensor];
      moments.name = tensors[tensor].name;
      moments.first.resize(tensors[tensor].values.size());
      moments.second.resize(tensors[tensor].values.size());
    }
  }

  void step(std::span<const TrainedTensor> tensors, std::int64_t step, double factor) override {
    ATTNLAB_CHECK(tensors.size() == moments_.size() && step >= 1, "a step of other tensors, or step 0");
    const double rate = options_.lr * factor;
    const auto time = static_cast<double>(step);
    AdamwFactors decayed{.beta1 = static_cast<float>(options_.beta1),
                         .beta2 = static_cast<float>(options_.beta2),
                         .new1 = static_cast<float>(1 - options_.beta1),
                         .new2 = static_cast<float>(1 - options_.beta2),
                         .rate = static_cast<float>(rate / (1 - std::pow(options_.beta1, time))),
                         .root = static_cast<float>(1 / std::sqrt(1 - std::pow(options_.beta2, time))),
                         .eps = static_cast<float>(options_.eps),
                         .keep = static_cast<float>(1 - rate * options_.weight_decay)};
    AdamwFactors undecayed = decayed;
    undecayed.keep = 1;
    for_each_block(blocks_, [&](const ElementBlock& block) {
      const TrainedTensor& tensor = tensors[block.tensor];
      Moments& moments = moments_[block.tensor];
      adamw_update(tensor.shape.size() >= 2 ? decayed : undecayed, block.of(tensor.values), block.of(tensor.gradient),
                   block.of(std::span(moments.first)), block.of(std::span(moments.second)));
    });
  }

  [[nodiscard]] double learning_rate(double factor) const override { return options_.lr * factor; }

  void save(StateWriter& to) const override {
    for (const std::size_t tensor : which_) {
      to.add("adamw.first|" + moments_[tensor].name, moments_[tensor].first);
      to.add("adamw.second|" + moments_[tensor].name, moments_[tensor].second);
    }
  }

  void restore(const StateReader& from) override {
    for (const std::size_t tensor : which_) {
      from.read("adamw.first|" + moments_[tensor].name, moments_[tensor].first);
      from.read("adamw.second|" + moments_[tensor].name, moments_[tensor].second);
    }
  }

 private:
  struct Moments {
    std::string name;
    std::vector<float> first, second;
  };

  AdamwOptions options_;
  TensorIndices which_;
  std::vector<ElementBlock> blocks_;
  std::vector<Moments> moments_;  // by tensor; empty for those of others
};

}  // namespace

std::unique_ptr<Optimiser> make_adamw(const AdamwOptions& options, std::span<const TrainedTensor> tensors,
                                      TensorIndices which) {
  return std::make_unique<Adamw>(options, tensors, std::move(which));
}

}  // namespace attnlab::training
