#include "training/optimiser.h"

#include <numeric>
#include <variant>

namespace attnlab::training {
namespace {

template <class... Cases>
struct Visitor : Cases... {
  using Cases::operator()...;
};

}  // namespace

Optimiser::~Optimiser() = default;

std::unique_ptr<Optimiser> make_optimiser(const OptimiserChoice& choice, std::span<const TrainedTensor> tensors) {
  for (const TrainedTensor& tensor : tensors) {
    std::int64_t elements = 1;
    for (const std::int64_t extent : tensor.shape) elements *= extent;
    ATTNLAB_CHECK(elements == static_cast<std::int64_t>(tensor.values.size()), "a trained tensor of another shape");
  }
  return std::visit(Visitor{[&](const AdamwOptions& options) {
                              TensorIndices all(tensors.size());
                              std::iota(all.begin(), all.end(), std::size_t{0});
                              return make_adamw(options, tensors, std::move(all));
                            },
                            [&](const MuonOptions& options) { return make_muon(options, tensors); },
                            [&](const SgdOptions& options) { return make_sgd(options, tensors); }},
                    choice.options);
}

}  // namespace attnlab::training
