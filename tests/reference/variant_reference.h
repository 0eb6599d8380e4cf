// Attention variants that are no softmax block: one layer of any variant with random parameters, and the answers of
// differential, mla and linear in double precision, written from their definitions: token by token, all keys of the
// past at once, no cache, no tiles, no state.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include <attnlab/attention_variant.h>

#include "reference/block_reference.h"
#include "reference/plugins.h"
#include "reference/rope_reference.h"

namespace attnlab::reference {

// A position scheme by its plugin and by its formula.
struct Scheme {
  std::string name;
  OptionValues options = {};
  std::function<void(std::span<double> x, Position position)> rotate = {};
  std::function<double(int head, Position query, Position key)> bias = {};
};

inline Scheme rope(int width, bool traditional = false) {
  const Rope formula{.head_dim = width, .traditional = traditional, .max_positions = 512};
  return {.name = "rope", .options = formula.options(), .rotate = [formula](std::span<double> x, Position position) {
            formula.turn(x, position, formula.frequencies(0));
          }};
}
// Heads beyond the largest power of two take every other slope of twice as many.
inline Scheme alibi(int heads) {
  return {.name = "alibi", .bias = [heads](int head, Position query, Position key) {
            const int power = static_cast<int>(std::bit_floor(static_cast<unsigned>(heads)));
            const double exponent = head < power ? 8.0 * (head + 1) / power : 4.0 * (2 * (head - power) + 1) / power;
            return -std::exp2(-exponent) * (query - key);
          }};
}

inline constexpr int kHidden = 40;  // hidden_dim of these layers

struct VariantSpec {
  std::string attention;
  OptionValues options = {};
  CreateContext context = {};
  std::string cache = "full";
  OptionValues cache_options = {};
  KeyForm key_form = KeyForm::rotated;
  int sequences = 1;
  std::uint64_t seed = 1;
};

// One layer with random parameters, and all that a model gives it.
class Variant {
 public:
  Variant(const VariantSpec& spec, const Scheme& scheme, std::unique_ptr<LayerCache> cache = nullptr)
      : attention_(plugins().attention(spec.attention, spec.options, spec.context)), cache_(std::move(cache)) {
    const KvShape shape = attention_->kv_shape();
    CreateContext of_position = spec.context;
    if (shape.kv_heads > 0) of_position.head_dim = shape.rotation_width();
    position_ = plugins().position(scheme.name, scheme.options, of_position);
    if (cache_ == nullptr)
      cache_ = plugins()
                   .cache(spec.cache, spec.cache_options, spec.context)
                   ->create(cache_context(shape, spec.context.heads, spec.sequences, spec.key_form));
    state_floats_ = attention_->state_floats() + attention_->summary_floats(spec.context.max_positions);
    state_.resize(static_cast<std::size_t>(spec.sequences * state_floats_));
    lengths_.resize(spec.sequences);
    ParameterSet set;
    for (const ParameterSpec& parameter : attention_->parameters()) {
      std::uint64_t seed = spec.seed;
      for (const char letter : parameter.name) seed = seed * 131 + static_cast<unsigned char>(letter);
      const std::int64_t width = parameter.shape.back();
      const std::int64_t count = parameter.shape.size() == 1 ? width : parameter.shape[0] * width;
      // Norms and vectors of their own near 1; matrices keep the size of what they multiply.
      const double deviation = parameter.shape.size() == 1 ? 0.3 : 1 / std::sqrt(static_cast<double>(width));
      std::vector<float>& values = values_[parameter.name] = Stream(seed).normals(count, deviation);
      if (parameter.init == Init::ones)
        for (float& value : values) value += 1;
      if (parameter.form == ParameterForm::values) {
        set.add(parameter.name, values);
      } else {
        Matrix& matrix = matrices_.emplace_back(parameter.shape[0], width, ElementType::f32);
        matrix.pack(0, std::span<const float>(values));
        set.add(parameter.name, matrix);
      }
    }
    attention_->bind(set);
  }

  // The next tokens[s] tokens of every sequence; hidden [tokens, hidden_dim] -> the same shape.
  std::vector<float> feed(const std::vector<int>& tokens, const std::vector<float>& hidden) {
    DirectSteps steps(scratch_);
    return feed(steps, tokens, hidden);
  }
  std::vector<float> feed(ModelSteps& steps, const std::vector<int>& tokens, const std::vector<float>& hidden) {
    Chunk chunk;
    for (std::size_t sequence = 0; sequence < tokens.size(); ++sequence) {
      chunk.add(lengths_[sequence], tokens[sequence], tokens[sequence] == 1 ? Phase::decode : Phase::last_prefill);
      lengths_[sequence] += tokens[sequence];
    }
    const ChunkView view = chunk.view();
    std::vector<float> out(hidden.size(), std::numeric_limits<float>::quiet_NaN());
    run_layer(steps, *attention_,
              {.chunk = view,
               .cache = *cache_,
               .position = *position_,
               .state = {state_.data(), {view.sequences(), state_floats_}}},
              matrix_view(hidden, kHidden), matrix_view(out, kHidden));
    return out;
  }
  // One sequence, fed in pieces.
  std::vector<float> feed_pieces(const std::vector<int>& sizes, const std::vector<float>& hidden) {
    std::vector<float> all;
    auto from = hidden.begin();
    for (const int size : sizes) {
      const std::vector<float> out = feed({size}, {from, from + size * kHidden});
      all.insert(all.end(), out.begin(), out.end());
      from += size * kHidden;
    }
    return all;
  }

  [[nodiscard]] const std::vector<float>& values(const std::string& name) const { return values_.at(name); }
  [[nodiscard]] const AttentionVariant& attention() const { return *attention_; }

 private:
  std::map<std::string, std::vector<float>> values_;
  std::deque<Matrix> matrices_;
  std::unique_ptr<AttentionVariant> attention_;
  std::unique_ptr<PositionScheme> position_;
  std::unique_ptr<LayerCache> cache_;
  std::int64_t state_floats_ = 0;
  std::vector<float> state_;
  std::vector<Position> lengths_;
  Scratch scratch_;
};

using Rows = std::vector<double>;  // [tokens, width]

inline Rows times(const Rows& input, const std::vector<float>& weight, std::size_t in_dim) {
  const std::size_t out_dim = weight.size() / in_dim;
  Rows out;
  for (std::size_t token = 0; token < input.size() / in_dim; ++token)
    for (std::size_t output = 0; output < out_dim; ++output) {
      double sum = 0;
      for (std::size_t i = 0; i < in_dim; ++i) sum += input[token * in_dim + i] * weight[output * in_dim + i];
      out.push_back(sum);
    }
  return out;
}

// Turns every head of rows [tokens, heads, width] at the token's position.
inline void turn_all(const Scheme& scheme, Rows& rows, int heads, int width) {
  if (!scheme.rotate) return;
  for (std::size_t head = 0; head < rows.size() / width; ++head)
    scheme.rotate(std::span(rows).subspan(head * width, width), static_cast<Position>(head / heads));
}

inline double dot(std::span<const double> a, std::span<const double> b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

// Causal softmax of one query; score and value of row j by functions.
inline Rows softmax_mix(int query, int value_dim, const std::function<double(int key)>& score,
                        const std::function<const double*(int key)>& value) {
  std::vector<double> weights;
  for (int key = 0; key <= query; ++key) weights.push_back(score(key));
  const double largest = *std::max_element(weights.begin(), weights.end());
  double sum = 0;
  for (double& weight : weights) sum += weight = std::exp(weight - largest);
  Rows out(value_dim);
  for (int key = 0; key <= query; ++key)
    for (int i = 0; i < value_dim; ++i) out[i] += weights[key] / sum * value(key)[i];
  return out;
}

inline Rows differential_reference(const CreateContext& c, const Variant& layer, const Rows& hidden,
                                   const Scheme& scheme) {
  const int d = c.head_dim;
  const int tokens = static_cast<int>(hidden.size() / kHidden);
  const int maps = c.heads;
  const int key_heads = c.kv_heads;
  Rows q = times(hidden, layer.values("q_proj.weight"), kHidden);
  Rows k = times(hidden, layer.values("k_proj.weight"), kHidden);
  const Rows v = times(hidden, layer.values("v_proj.weight"), kHidden);
  turn_all(scheme, q, maps, d);
  turn_all(scheme, k, key_heads, d);
  const auto similarity = [&](const char* a, const char* b) {
    double sum = 0;
    for (int i = 0; i < d; ++i) sum += static_cast<double>(layer.values(a)[i]) * layer.values(b)[i];
    return std::exp(sum);
  };
  const double lambda_init = 0.8 - 0.6 * std::exp(-0.3 * c.layer);
  const double lambda = similarity("lambda_q1", "lambda_k1") - similarity("lambda_q2", "lambda_k2") + lambda_init;
  Rows mixed;  // [tokens, pairs, 2d]
  for (int token = 0; token < tokens; ++token)
    for (int pair = 0; pair < maps / 2; ++pair) {
      const int value_head = pair / (maps / key_heads);
      std::array<Rows, 2> of_map;
      for (int a = 0; a < 2; ++a) {
        const int map = 2 * pair + a;
        of_map[a] = softmax_mix(
            token, 2 * d,
            [&](int key) {
              const double score = dot(std::span(q).subspan((token * maps + map) * d, d),
                                       std::span(k).subspan((key * key_heads + 2 * value_head + a) * d, d)) /
                                   std::sqrt(d);
              return score + (scheme.bias ? scheme.bias(map, token, key) : 0);
            },
            [&](int key) { return v.data() + key * key_heads * d + value_head * 2 * d; });
      }
      for (int i = 0; i < 2 * d; ++i) mixed.push_back(of_map[0][i] - lambda * of_map[1][i]);
    }
  norm(mixed, layer.values("subln.weight"), 1e-5);
  for (double& value : mixed) value *= 1 - lambda_init;
  return times(mixed, layer.values("o_proj.weight"), static_cast<std::size_t>(maps) * d);
}

struct Latent {
  int latent = 24, q_rank = 0, nope = 16, rope = 8, value = 12;
  [[nodiscard]] OptionValues options(const std::string& form = "auto") const {
    return {{"kv_lora_rank", std::int64_t{latent}},   {"q_lora_rank", std::int64_t{q_rank}},
            {"qk_nope_head_dim", std::int64_t{nope}}, {"qk_rope_head_dim", std::int64_t{rope}},
            {"v_head_dim", std::int64_t{value}},      {"form", form}};
  }
};

inline Rows mla_reference(const CreateContext& c, const Latent& dims, const Variant& layer, const Rows& hidden,
                          const Scheme& scheme) {
  const auto [latent_dim, q_rank, nope, rope_dim, value_dim] = dims;
  const int tokens = static_cast<int>(hidden.size() / kHidden);
  const int width = nope + rope_dim;
  Rows q;
  if (q_rank > 0) {
    Rows compressed = times(hidden, layer.values("q_a_proj.weight"), kHidden);
    norm(compressed, layer.values("q_a_layernorm.weight"), c.rms_norm_eps);
    q = times(compressed, layer.values("q_b_proj.weight"), q_rank);
  } else {
    q = times(hidden, layer.values("q_proj.weight"), kHidden);
  }
  const Rows both = times(hidden, layer.values("kv_a_proj_with_mqa.weight"), kHidden);
  Rows latent;
  Rows shared;
  for (int token = 0; token < tokens; ++token) {
    const auto row = both.begin() + token * (latent_dim + rope_dim);
    latent.insert(latent.end(), row, row + latent_dim);
    shared.insert(shared.end(), row + latent_dim, row + latent_dim + rope_dim);
  }
  norm(latent, layer.values("kv_a_layernorm.weight"), c.rms_norm_eps);
  turn_all(scheme, shared, 1, rope_dim);
  for (int i = 0; scheme.rotate && i < tokens * c.heads; ++i)
    scheme.rotate(std::span(q).subspan(i * width + nope, rope_dim), i / c.heads);
  const Rows pairs = times(latent, layer.values("kv_b_proj.weight"), latent_dim);  // [tokens, heads, nope + value]
  const auto pair = [&](int token, int head) {
    return std::span(pairs).subspan((token * c.heads + head) * (nope + value_dim), nope + value_dim);
  };
  Rows mixed;
  for (int token = 0; token < tokens; ++token)
    for (int head = 0; head < c.heads; ++head) {
      const auto query = std::span(q).subspan((token * c.heads + head) * width, width);
      const Rows out = softmax_mix(
          token, value_dim,
          [&](int key) {
            const double score = dot(query.first(nope), pair(key, head)) +
                                 dot(query.subspan(nope), std::span(shared).subspan(key * rope_dim, rope_dim));
            return score / std::sqrt(width) + (scheme.bias ? scheme.bias(head, token, key) : 0);
          },
          [&](int key) { return pair(key, head).data() + nope; });
      mixed.insert(mixed.end(), out.begin(), out.end());
    }
  return times(mixed, layer.values("o_proj.weight"), static_cast<std::size_t>(c.heads) * value_dim);
}

inline Rows linear_reference(const CreateContext& c, int kv_heads, const Variant& layer, const Rows& hidden,
                             const Scheme& scheme) {
  const int d = c.head_dim;
  const int tokens = static_cast<int>(hidden.size() / kHidden);
  Rows q = times(hidden, layer.values("q_proj.weight"), kHidden);
  Rows k = times(hidden, layer.values("k_proj.weight"), kHidden);
  const Rows v = times(hidden, layer.values("v_proj.weight"), kHidden);
  turn_all(scheme, q, c.heads, d);
  turn_all(scheme, k, kv_heads, d);
  for (Rows* rows : {&q, &k})
    for (double& x : *rows) x = x > 0 ? x + 1 : std::exp(x);  // elu(x) + 1
  Rows mixed;
  for (int token = 0; token < tokens; ++token)
    for (int head = 0; head < c.heads; ++head) {
      const int kv_head = head / (c.heads / kv_heads);
      Rows out(d);
      double sum = 1e-6;
      for (int key = 0; key <= token; ++key) {
        const double weight = dot(std::span(q).subspan((token * c.heads + head) * d, d),
                                  std::span(k).subspan((key * kv_heads + kv_head) * d, d));
        sum += weight;
        for (int i = 0; i < d; ++i) out[i] += weight * v[(key * kv_heads + kv_head) * d + i];
      }
      for (const double value : out) mixed.push_back(value / sum);
    }
  return times(mixed, layer.values("o_proj.weight"), static_cast<std::size_t>(c.heads) * d);
}

}  // namespace attnlab::reference
