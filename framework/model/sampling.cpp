#include "model/sampling.h"

#include <algorithm>
#include <cmath>

namespace attnlab::model {

TokenId argmax(std::span<const float> logits) {
  return static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

Sampler::Sampler(const SamplingOptions& options) : options_(options), random_(options.seed) {}

TokenId Sampler::next(std::span<const float> logits) {
  if (options_.temperature <= 0) return argmax(logits);
  candidates_.clear();
  for (std::size_t id = 0; id < logits.size(); ++id) candidates_.emplace_back(logits[id], static_cast<TokenId>(id));
  const auto before = [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  };
  const std::size_t kept =
      options_.top_k > 0 ? std::min<std::size_t>(options_.top_k, candidates_.size()) : candidates_.size();
  std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(kept), candidates_.end(),
                    before);
  candidates_.resize(kept);
  const double largest = candidates_.front().first;
  double total = 0;
  std::vector<double> weights(kept);
  for (std::size_t i = 0; i < kept; ++i)
    total += weights[i] = std::exp((candidates_[i].first - largest) / options_.temperature);
  // The nucleus: the fewest tokens whose probability reaches p; the first is always in it.
  std::size_t nucleus = kept;
  double sum = 0;
  for (std::size_t i = 0; i < kept; ++i) {
    sum += weights[i];
    if (sum >= options_.top_p * total) {
      nucleus = i + 1;
      break;
    }
  }
  double left = random_.uniform() * sum;
  for (std::size_t i = 0; i < nucleus; ++i) {
    left -= weights[i];
    if (left < 0) return candidates_[i].second;
  }
  return candidates_[nucleus - 1].second;
}

}  // namespace attnlab::model
