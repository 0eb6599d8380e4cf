// The usual attention block step by step in double precision: project, norm, attend to rows 0 .. t, gate, project.
// One sequence that was fed from its start; every token sees its own row and those before it.
#pragma once

#include <string>
#include <vector>

#include <attnlab/softmax_block.h>

#include "reference/attend_reference.h"
#include "reference/plugins.h"

namespace attnlab::reference {

struct Block {
  AttentionModifiers modifiers;
  int kv_heads = 1;
  CreateContext context;
};

/// input [tokens, in] times the named weight of the layer, plus its bias where the layer has one: [tokens, out].
inline std::vector<double> projected(const std::vector<double>& input, const Layer& layer, const std::string& name,
                                     std::size_t in_dim) {
  const std::vector<float>& weight = layer.values(name + ".weight");  // [out, in]
  const std::size_t out_dim = weight.size() / in_dim;
  std::vector<double> out;
  for (std::size_t token = 0; token < input.size() / in_dim; ++token)
    for (std::size_t output = 0; output < out_dim; ++output) {
      double sum = layer.has(name + ".bias") ? layer.values(name + ".bias")[output] : 0;
      for (std::size_t i = 0; i < in_dim; ++i) sum += input[token * in_dim + i] * weight[output * in_dim + i];
      out.push_back(sum);
    }
  return out;
}

inline void norm(std::vector<double>& rows, const std::vector<float>& weight, double eps) {
  const std::size_t width = weight.size();
  for (std::size_t row = 0; row < rows.size(); row += width) {
    double squares = 0;
    for (std::size_t i = 0; i < width; ++i) squares += rows[row + i] * rows[row + i];
    for (std::size_t i = 0; i < width; ++i) rows[row + i] *= weight[i] / std::sqrt(squares / width + eps);
  }
}

/// LayerNorm of every head by a weight of its own ("q_norm.3.weight"), without bias.
inline void norm_own(std::vector<double>& rows, const Layer& layer, const std::string& name, int heads, double eps) {
  for (std::size_t row = 0, width = layer.values(name + ".0.weight").size(); row < rows.size() / width; ++row) {
    const std::vector<float>& weight =
        layer.values(name + "." + std::to_string(row % static_cast<std::size_t>(heads)) + ".weight");
    double* const of = rows.data() + row * width;
    double mean = 0, squares = 0;
    for (std::size_t i = 0; i < width; ++i) mean += of[i] / static_cast<double>(width);
    for (std::size_t i = 0; i < width; ++i) squares += (of[i] - mean) * (of[i] - mean);
    for (std::size_t i = 0; i < width; ++i)
      of[i] = (of[i] - mean) * weight[i] / std::sqrt(squares / static_cast<double>(width) + eps);
  }
}

/// hidden [tokens, hidden_dim] -> the same shape. `rules` brings rotation and position bias; mask, softcap, scale and
/// sinks come from the modifiers. Queries, keys and values are rounded to floats once, as rows are kept.
inline Answer block_reference(const Block& block, const Layer& layer, const std::vector<float>& hidden_floats,
                              Rules rules) {
  const AttentionModifiers& m = block.modifiers;
  const int heads = block.context.heads;
  const int width = block.context.head_dim;
  const auto hidden_dim = static_cast<std::size_t>(block.context.hidden_dim);
  const std::vector<double> hidden(hidden_floats.begin(), hidden_floats.end());
  const int tokens = static_cast<int>(hidden.size() / hidden_dim);

  std::vector<double> q = projected(hidden, layer, "q_proj", hidden_dim);
  std::vector<double> k = projected(hidden, layer, "k_proj", hidden_dim);
  const std::vector<double> v = projected(hidden, layer, "v_proj", hidden_dim);
  const double eps = block.context.rms_norm_eps;
  if (m.qk_norm && m.qk_norm_kind == QkNormKind::own) {
    norm_own(q, layer, "q_norm", heads, eps);
    norm_own(k, layer, "k_norm", block.kv_heads, eps);
  } else if (m.qk_norm) {  // of heads, or as wide as all of them
    norm(q, layer.values("q_norm.weight"), eps);
    norm(k, layer.values("k_norm.weight"), eps);
  }

  RowLists rows{{.kv_heads = block.kv_heads, .key_dim = width, .value_dim = width}};
  rows.lists.resize(block.kv_heads);
  for (int token = 0; token < tokens; ++token)
    for (int head = 0; head < block.kv_heads; ++head) {
      const auto at = (token * block.kv_heads + head) * width;
      rows.at(0, head).push_back(
          {{k.begin() + at, k.begin() + at + width}, {v.begin() + at, v.begin() + at + width}, token});
    }
  rules.scale = m.scale > 0 ? m.scale : 1 / std::sqrt(static_cast<double>(width));
  rules.sees = causal(m.window);
  if (m.sink_logit) rules.sink_logits = layer.values("sinks");
  rules.hook = [bias = rules.hook, cap = m.softcap](double score, int head, Position query, Position key) {
    if (bias) score = bias(score, head, query, key);
    return cap > 0 ? cap * std::tanh(score / cap) : score;
  };
  const Chunk chunk = Chunk().add(0, tokens);
  Answer answer = attend_all({q.begin(), q.end()}, heads, chunk.view(), rows, rules);

  if (m.gate != Gate::none) {
    const std::vector<double> gates = projected(hidden, layer, "gate_proj", hidden_dim);
    for (std::size_t i = 0; i < answer.out.size(); ++i)
      answer.out[i] /= 1 + std::exp(-gates[m.gate == Gate::head ? i / width : i]);
  }
  answer.out = projected(answer.out, layer, "o_proj", static_cast<std::size_t>(heads) * width);
  return answer;
}

/// Of a block: attention, whose scores carry the errors of two projections, between products of its own.
inline double block_tolerance(const Block& block, int tokens, double largest_score) {
  return attend_tolerance(block.context.head_dim + block.context.hidden_dim, static_cast<std::size_t>(tokens),
                          largest_score);
}

}  // namespace attnlab::reference
