// The variants with a state that fades, and sigmoid attention, from their definitions in double precision: one sequence
// from its start. Where a definition allows it, as a sum over all tokens before, without a state.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "reference/variant_reference.h"

namespace attnlab::reference {

inline double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

/// rows [tokens, heads, d] through an RMSNorm of each head, times swish of the gates, then projected back.
inline Rows gated_output(const CreateContext& c, const Variant& layer, Rows rows, const std::string& norm_name,
                         const Rows& hidden) {
  norm(rows, layer.values(norm_name), c.rms_norm_eps);
  const Rows gates = times(hidden, layer.values("g_proj.weight"), kHidden);
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] *= gates[i] * sigmoid(gates[i]);
  return times(rows, layer.values("o_proj.weight"), static_cast<std::size_t>(c.heads) * c.head_dim);
}

/// Weights sigmoid(score - ln n) for the n rows that a query sees.
inline Rows sigmoid_reference(const CreateContext& c, const Variant& layer, const Rows& hidden, const Scheme& scheme) {
  const int d = c.head_dim;
  const int tokens = static_cast<int>(hidden.size() / kHidden);
  Rows q = times(hidden, layer.values("q_proj.weight"), kHidden);
  Rows k = times(hidden, layer.values("k_proj.weight"), kHidden);
  const Rows v = times(hidden, layer.values("v_proj.weight"), kHidden);
  turn_all(scheme, q, c.heads, d);
  turn_all(scheme, k, c.kv_heads, d);
  Rows mixed;
  for (int token = 0; token < tokens; ++token)
    for (int head = 0; head < c.heads; ++head) {
      const int kv_head = head / (c.heads / c.kv_heads);
      Rows out(d);
      for (int key = 0; key <= token; ++key) {
        double score = dot(std::span(q).subspan((token * c.heads + head) * d, d),
                           std::span(k).subspan((key * c.kv_heads + kv_head) * d, d)) /
                       std::sqrt(d);
        if (scheme.bias) score += scheme.bias(head, token, key);
        const double weight = sigmoid(score - std::log(token + 1.0));
        for (int i = 0; i < d; ++i) out[i] += weight * v[(key * c.kv_heads + kv_head) * d + i];
      }
      mixed.insert(mixed.end(), out.begin(), out.end());
    }
  return times(mixed, layer.values("o_proj.weight"), static_cast<std::size_t>(c.heads) * d);
}

/// What token s left in the state has faded, in every key channel, by the factors of the tokens after it: o_t = sum
/// over s <= t of (q_t . (a_{s+1} ... a_t k_s)) v_s / sqrt(d).
inline Rows gla_reference(const CreateContext& c, bool retnet, int rank, const Variant& layer, const Rows& hidden,
                          const Scheme& scheme) {
  const int d = c.head_dim;
  const int tokens = static_cast<int>(hidden.size() / kHidden);
  Rows q = times(hidden, layer.values("q_proj.weight"), kHidden);
  Rows k = times(hidden, layer.values("k_proj.weight"), kHidden);
  const Rows v = times(hidden, layer.values("v_proj.weight"), kHidden);
  turn_all(scheme, q, c.heads, d);
  turn_all(scheme, k, c.kv_heads, d);
  Rows logs;  // [tokens, kv_heads, d] of the learned factors
  if (!retnet) {
    logs = times(times(hidden, layer.values("gk_proj.0.weight"), kHidden), layer.values("gk_proj.1.weight"), rank);
    for (std::size_t i = 0; i < logs.size(); ++i)
      logs[i] = std::log(sigmoid(logs[i] + layer.values("gk_proj.1.bias")[i % (c.kv_heads * d)])) / 16;
  }
  Rows mixed;
  for (int token = 0; token < tokens; ++token)
    for (int head = 0; head < c.heads; ++head) {
      const int kv_head = head / (c.heads / c.kv_heads);
      Rows out(d);
      Rows faded(d);  // logarithms of the factors of the tokens after the key
      for (int key = token; key >= 0; --key) {
        double score = 0;
        for (int i = 0; i < d; ++i)
          score += q[(token * c.heads + head) * d + i] * std::exp(faded[i]) * k[(key * c.kv_heads + kv_head) * d + i];
        for (int i = 0; i < d; ++i) out[i] += score / std::sqrt(d) * v[(key * c.kv_heads + kv_head) * d + i];
        for (int i = 0; i < d; ++i)
          faded[i] += retnet ? std::log(1 - std::pow(2.0, -5 - head)) : logs[(key * c.kv_heads + kv_head) * d + i];
      }
      mixed.insert(mixed.end(), out.begin(), out.end());
    }
  return gated_output(c, layer, mixed, "g_norm_swish_gate.weight", hidden);
}

/// S_t = a_t S_{t-1} (I - b_t k_t k_t') + b_t v_t k_t', o_t = S_t q_t / sqrt(d), the matrices written out.
inline Rows gated_delta_reference(const CreateContext& c, int taps, const Variant& layer, const Rows& hidden,
                                  const Scheme& scheme) {
  const int d = c.head_dim;
  const int heads = c.heads;
  const int width = heads * d;
  const int tokens = static_cast<int>(hidden.size() / kHidden);
  const auto activated = [&](const std::string& letter) {
    const Rows projected = times(hidden, layer.values(letter + "_proj.weight"), kHidden);
    Rows rows(projected.size());
    for (int token = 0; token < tokens; ++token)
      for (int channel = 0; channel < width; ++channel) {
        double x = taps > 0 ? 0 : projected[token * width + channel];
        for (int tap = 0; tap < taps; ++tap)
          if (const int from = token - (taps - 1 - tap); from >= 0)
            x += layer.values(letter + "_conv1d.weight")[channel * taps + tap] * projected[from * width + channel];
        rows[token * width + channel] = x * sigmoid(x);
      }
    return rows;
  };
  Rows q = activated("q");
  Rows k = activated("k");
  const Rows v = activated("v");
  for (Rows* rows : {&q, &k})
    for (std::size_t row = 0; row < rows->size(); row += d) {
      const double length = std::sqrt(dot(std::span(*rows).subspan(row, d), std::span(*rows).subspan(row, d)) + 1e-6);
      for (int i = 0; i < d; ++i) (*rows)[row + i] /= length;
    }
  turn_all(scheme, q, heads, d);
  turn_all(scheme, k, heads, d);
  const Rows alphas = times(hidden, layer.values("a_proj.weight"), kHidden);
  const Rows betas = times(hidden, layer.values("b_proj.weight"), kHidden);
  Rows mixed(static_cast<std::size_t>(tokens) * width);
  for (int head = 0; head < heads; ++head) {
    Rows state(d * d);  // by value channel
    for (int token = 0; token < tokens; ++token) {
      const double* key = k.data() + (token * heads + head) * d;
      const double softplus = std::log(1 + std::exp(alphas[token * heads + head] + layer.values("dt_bias")[head]));
      const double a = std::exp(-std::exp(static_cast<double>(layer.values("A_log")[head])) * softplus);
      const double b = sigmoid(betas[token * heads + head]);
      Rows next(d * d);
      for (int i = 0; i < d; ++i)
        for (int j = 0; j < d; ++j) {
          for (int m = 0; m < d; ++m)
            next[i * d + j] += a * state[i * d + m] * ((m == j ? 1.0 : 0.0) - b * key[m] * key[j]);
          next[i * d + j] += b * v[(token * heads + head) * d + i] * key[j];
        }
      state = next;
      for (int i = 0; i < d; ++i)
        mixed[(token * heads + head) * d + i] =
            dot(std::span(state).subspan(i * d, d), std::span(q).subspan((token * heads + head) * d, d)) / std::sqrt(d);
    }
  }
  return gated_output(c, layer, mixed, "o_norm.weight", hidden);
}

}  // namespace attnlab::reference
