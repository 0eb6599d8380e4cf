// The plugins of this build, loaded once, and an attention layer made of three of them with random parameters.
#pragma once

#include <array>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "rows/f32_rows.h"
#include "ops/matrix.h"
#include "reference/streams.h"
#include "registry/registry.h"
#include "steps/direct_steps.h"

namespace attnlab::reference {

inline const Registry& plugins() {
  static const Registry registry = [] {
    const std::array folders{std::filesystem::path(ATTNLAB_BINARY_DIR "/plugins")};
    return Registry::load(folders, {});
  }();
  return registry;
}

/// What the host tells a policy, with the storage that every experiment has.
inline LayerCacheContext cache_context(const KvShape& shape, int heads, int sequences, KeyForm form) {
  LayerCacheContext context{.sequences = sequences, .heads = heads, .shape = shape, .key_form = form};
  context.make_rows = [shape, sequences] { return f32_rows(shape, sequences, 0); };
  return context;
}

struct LayerSpec {
  std::string attention = "gqa";
  OptionValues attention_options = {};
  std::string position = "none";
  OptionValues position_options = {};
  std::string cache = "full";
  OptionValues cache_options = {};
  CreateContext context = {};
  int sequences = 1;
  KeyForm key_form = KeyForm::rotated;
  std::uint64_t seed = 1;
};

class Layer {
 public:
  explicit Layer(const LayerSpec& spec)
      : context_(spec.context),
        attention_(plugins().attention(spec.attention, spec.attention_options, spec.context)),
        position_(plugins().position(spec.position, spec.position_options, spec.context)),
        policy_(plugins().cache(spec.cache, spec.cache_options, spec.context)),
        cache_(
            policy_->create(cache_context(attention_->kv_shape(), spec.context.heads, spec.sequences, spec.key_form))) {
    ParameterSet set;
    for (const ParameterSpec& parameter : attention_->parameters()) {
      // By name, so that two layers with the same parameters have the same values.
      std::uint64_t seed = spec.seed;
      for (const char letter : parameter.name) seed = seed * 131 + static_cast<unsigned char>(letter);
      Stream stream(seed);
      std::vector<float>& values = values_[parameter.name];
      if (parameter.form == ParameterForm::values) {
        values = stream.normals(parameter.shape[0]);
        set.add(parameter.name, values);
      } else {
        values = stream.normals(parameter.shape[0] * parameter.shape[1],
                                1 / std::sqrt(static_cast<double>(parameter.shape[1])));
        Matrix& matrix = matrices_.emplace_back(parameter.shape[0], parameter.shape[1], ElementType::f32);
        matrix.pack(0, std::span<const float>(values));
        set.add(parameter.name, matrix);
      }
    }
    attention_->bind(set);
  }

  /// hidden [tokens, hidden_dim] -> the same shape; the chunk is ended.
  std::vector<float> forward(const Chunk& chunk, const std::vector<float>& hidden) {
    steps_.begin_pass();
    return forward_with(steps_, chunk, hidden, *cache_, true);
  }
  /// The same as a layer of a pass, whose steps and rows others may share.
  std::vector<float> forward_with(ModelSteps& steps, const Chunk& chunk, const std::vector<float>& hidden,
                                  LayerCache& cache, bool ends_rows) {
    std::vector<float> out(hidden.size(), std::numeric_limits<float>::quiet_NaN());
    const ChunkView view = chunk.view();
    run_layer(steps, *attention_, {.chunk = view, .cache = cache, .position = *position_, .ends_rows = ends_rows},
              matrix_view(hidden, context_.hidden_dim), matrix_view(out, context_.hidden_dim));
    return out;
  }
  [[nodiscard]] const std::vector<float>& values(const std::string& name) const { return values_.at(name); }
  [[nodiscard]] bool has(const std::string& name) const { return values_.contains(name); }
  [[nodiscard]] const AttentionVariant& attention() const { return *attention_; }
  [[nodiscard]] LayerCache& cache() { return *cache_; }

 private:
  CreateContext context_;
  std::map<std::string, std::vector<float>> values_;
  std::deque<Matrix> matrices_;
  std::unique_ptr<AttentionVariant> attention_;
  std::unique_ptr<PositionScheme> position_;
  std::unique_ptr<CachePolicy> policy_;
  std::unique_ptr<LayerCache> cache_;
  Scratch scratch_;
  DirectSteps steps_{scratch_};
};

}  // namespace attnlab::reference
