#include "workloads/forward_time.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "assembly/feeding.h"

namespace attnlab::experiment {
namespace {

constexpr double kLayerSeconds = 20e-6;  // a layer costs at least so much, however small it is
constexpr double kUnbounded = std::numeric_limits<double>::infinity();

double visible_rows(const LayerCost& layer) {
  return layer.visible_rows > 0 ? layer.visible_rows : kUnbounded;
}

// Pairs of `tokens` queries, of which the i-th sees `before` + i rows, but no more than `most`.
double pairs_of(double tokens, double before, double most) {
  const double growing = std::clamp(most - before, 0.0, tokens);  // queries that see all
  const double bounded = tokens - growing;
  return growing * before + growing * (growing + 1) / 2 + (bounded > 0 ? bounded * most : 0);
}

// Rows of a sequence in a step, the new one included.
double rows_of(const DecodedSequences& sequence, const KeptRows& kept) {
  if (kept.is_after_prompt)
    return std::min(sequence.prompt, kept.most) + std::max(0.0, sequence.length - sequence.prompt);
  return std::min(sequence.length, kept.is_seen_so ? kept.most : kept.most + 1);  // the policy acts after the step
}

}  // namespace

ForwardTime::ForwardTime(const ArmCost& cost, std::vector<KeptRows> kept, const RoofProbe& roof)
    : cost_(cost), kept_(std::move(kept)), roof_(roof) {
  kept_.resize(cost.layers.size());
}

ForwardWork ForwardTime::prefill_work(double tokens, double before, double heads) const {
  const double chunks = std::ceil(tokens / kPrefillChunk);
  ForwardWork work{.multiply_adds = cost_.head_weights * heads, .bytes = chunks * cost_.head_bytes};
  for (std::size_t index = 0; index < cost_.layers.size(); ++index) {
    const PassCost& pass = cost_.layers[index].prefill;
    const KeptRows& kept = kept_[index];
    const double start = std::min(before, kept.most);
    // Rows that are there in a pass: a policy that acts after each chunk leaves it with the chunk beside its bound.
    const double held = kept.is_after_prompt ? kUnbounded : kept.most + kPrefillChunk;
    const double seen = std::min(visible_rows(cost_.layers[index]), kept.is_seen_so ? kept.most : held);
    double expanded = 0;  // rows, summed over the passes
    for (double end = 0; pass.weights_per_row > 0 && end < tokens;) {
      end = std::min(end + kPrefillChunk, tokens);
      expanded += std::min(start + end, held);
    }
    work.multiply_adds += (pass.weights_per_token + pass.own_per_token) * tokens + pass.weights_per_row * expanded +
                          pass.heads * pass.per_pair * pairs_of(tokens, start, seen);
    work.bytes += chunks * pass.weight_bytes;
  }
  return work;
}

ForwardWork ForwardTime::step_work(std::span<const DecodedSequences> sequences) const {
  ForwardWork work{.multiply_adds = 0, .bytes = cost_.head_bytes};
  for (const DecodedSequences& one : sequences) work.multiply_adds += cost_.head_weights * one.count;
  for (std::size_t index = 0; index < cost_.layers.size(); ++index) {
    const PassCost& pass = cost_.layers[index].decode;
    work.bytes += pass.weight_bytes;
    for (const DecodedSequences& one : sequences) {
      const double rows = rows_of(one, kept_[index]);
      const double seen = std::min(rows, visible_rows(cost_.layers[index]));
      work.multiply_adds += one.count * (pass.weights_per_token + pass.own_per_token + pass.weights_per_row * rows +
                                         pass.heads * pass.per_pair * seen);
      work.bytes += one.count * (pass.cached_bytes * seen + pass.made_bytes * rows + pass.state_bytes);
    }
  }
  return work;
}

double ForwardTime::seconds(const ForwardWork& work, double passes) const {
  return std::max(2 * work.multiply_adds / (kShareOfPeak * roof_.fma_flops_per_second),
                  work.bytes / (kShareOfBandwidth * roof_.read_bytes_per_second)) +
         passes * static_cast<double>(cost_.layers.size()) * kLayerSeconds;
}

double ForwardTime::prefill(double tokens, double before, double heads) const {
  return seconds(prefill_work(tokens, before, heads), std::ceil(tokens / kPrefillChunk));
}

double ForwardTime::step(std::span<const DecodedSequences> sequences) const {
  return seconds(step_work(sequences), 1);
}

double ForwardTime::steps(double first, double last, double count) const {
  const DecodedSequences middle{.count = count, .length = (first + last) / 2, .prompt = first};
  return (last - first) * step({&middle, 1});
}

}  // namespace attnlab::experiment
