// What the tests of framework/training share: tensors of every kind that a model trains, with gradients from a seed.
#pragma once

#include <sys/resource.h>

#include <csignal>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <attnlab/random.h>

#include "training/trained_tensor.h"

namespace attnlab::training_test {

using training::TrainedTensor;

/// Owns what TrainedTensor borrows.
class SampleTensors {
 public:
  struct Shape {
    std::string name;
    std::vector<std::int64_t> shape;
  };

  /// A matrix that is wide, one that is tall and larger than a block, a square one, and everything that is no matrix of
  /// a layer for one reason or another.
  static std::vector<Shape> every_kind() {
    return {{"model.embed_tokens.weight", {50, 16}},
            {"model.layers.0.self_attn.q_proj.weight", {24, 40}},
            {"model.layers.0.mlp.up_proj.weight", {450, 37}},
            {"model.layers.1.self_attn.k_proj.weight", {32, 32}},
            {"model.layers.0.self_attn.relative_attention_bias.weight", {8, 4}},
            {"model.layers.0.self_attn.conv.weight", {6, 1, 4}},
            {"model.layers.0.self_attn.q_proj.bias", {24}},
            {"model.norm.weight", {16}},
            {"lm_head.weight", {50, 16}}};
  }

  explicit SampleTensors(std::uint64_t seed = 5, const std::vector<Shape>& shapes = every_kind()) : random_(seed) {
    for (const Shape& shape : shapes) {
      std::size_t elements = 1;
      for (const std::int64_t extent : shape.shape) elements *= static_cast<std::size_t>(extent);
      values_.push_back(uniform(elements, 0.5));
      gradients_.emplace_back(elements);
    }
    for (std::size_t i = 0; i < shapes.size(); ++i)
      tensors_.push_back({shapes[i].name, shapes[i].shape, values_[i], gradients_[i]});
  }
  SampleTensors(const SampleTensors&) = delete;
  SampleTensors& operator=(const SampleTensors&) = delete;

  /// Gradients of a size of its own for each tensor, down to 1e-8.
  void next_gradients() {
    double size = 1;
    for (std::vector<float>& gradient : gradients_) {
      for (float& number : gradient) number = static_cast<float>(size * (2 * random_.uniform() - 1));
      size /= 10;
    }
  }

  [[nodiscard]] std::span<const TrainedTensor> all() const { return tensors_; }
  [[nodiscard]] const std::vector<std::vector<float>>& values() const { return values_; }
  [[nodiscard]] std::vector<std::vector<float>>& gradients() { return gradients_; }

 private:
  std::vector<float> uniform(std::size_t count, double most) {
    std::vector<float> numbers(count);
    for (float& number : numbers) number = static_cast<float>(most * (2 * random_.uniform() - 1));
    return numbers;
  }

  SplitMix64 random_;
  std::vector<std::vector<float>> values_, gradients_;
  std::vector<TrainedTensor> tensors_;
};

[[nodiscard]] inline bool same_bits(const std::vector<std::vector<float>>& a,
                                    const std::vector<std::vector<float>>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].size() != b[i].size() || std::memcmp(a[i].data(), b[i].data(), a[i].size() * sizeof(float)) != 0)
      return false;
  return true;
}

/// While it lives files may not grow beyond this, as on a full disk.
class SmallDisk {
 public:
  explicit SmallDisk(std::uint64_t bytes) : signal_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit tight{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &tight);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, signal_);
  }

 private:
  rlimit before_{};
  void (*signal_)(int);
};

}  // namespace attnlab::training_test
