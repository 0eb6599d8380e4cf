// The stream of a token is [code of the token | code of its predecessor], 128 entries each. All entries are +-1, so
// every RMSNorm divides by a number that is known beforehand, and the first entry of a code, which is always 1, serves
// as the constant that the first layer's queries and keys are made of.
//
// Why the answer is exact, in any mixture that an attention can make of its rows: codes correlate by at most c = 1/8.
// After layer 1 the first half is own + gain x (mean of codes by the attention's weights). Where the attention lies on
// the row of the value, the value's logit is at least gain - c, any other's at most 1 + gain c: right for
// gain > (1 + c) / (1 - c) = 1.29. Where no row of the value is left, it is at most c + gain c, and the token's own
// logit at least 1 - gain c: never the value for gain < (1 - c) / (2 c) = 3.5.
#include "model/constructed_recall.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cmath>
#include <utility>

#include <attnlab/api.h>

namespace attnlab::model {
namespace {

constexpr int kRotary = 32;  // channels of a head that are rotated; the code's 128 come after them
constexpr int kHeadDim = kRotary + kRecallCode;
constexpr double kTheta = 10;
// Layer 0. The score of distance n is kTurn x sum of cos((n - 1) theta_j): with these 16 frequencies every distance but
// 1 is at least 1.88 x kTurn below, up to 65536 tokens, so that all others together weigh e^-60.
constexpr double kTurn = 32;
// Layer 1. The row that is looked for scores at least 7/8 of this, any other at most 1/4.
constexpr double kMatch = 64;
constexpr double kGain = 2;
// With qk_norm the norms' weights set the size of the scores instead.
constexpr float kNormedHead = 9;
constexpr float kNoSink = -10000;  // a sink logit that takes nothing

// Product in the field of 128 elements, x^7 = x + 1.
constexpr unsigned multiplied(unsigned a, unsigned b) {
  unsigned product = 0;
  for (; b != 0; b >>= 1) {
    if ((b & 1U) != 0) product ^= a;
    a <<= 1;
    if ((a & 0x80U) != 0) a ^= 0x83U;
  }
  return product;
}

// y + y^2 + y^4 + ... + y^64, which is 0 or 1.
constexpr unsigned trace(unsigned y) {
  unsigned sum = 0;
  for (int i = 0; i < 7; ++i) {
    sum ^= y;
    y = multiplied(y, y);
  }
  return sum;
}

// Of every x: the traces of x, 2x, 4x ... 64x as seven bits, and above them those of its cube. The trace is linear, so
// that of a x + b x^3 is the parity of the bits that a and b have in common with these.
constexpr std::array<unsigned, kRecallCode> trace_masks() {
  std::array<unsigned, kRecallCode> masks{};
  for (unsigned x = 0; x < kRecallCode; ++x) {
    const unsigned cube = multiplied(x, multiplied(x, x));
    for (unsigned i = 0; i < 7; ++i)
      masks[x] |= trace(multiplied(1U << i, x)) << i | trace(multiplied(1U << i, cube)) << (i + 7);
  }
  return masks;
}

class Weights {
 public:
  explicit Weights(const ModelConfig& config) : config_(config) {}

  HeldTensors make() {
    embed();
    for (int layer = 0; layer < config_.layers; ++layer) {
      prefix_ = fmt::format("model.layers.{}.", layer);
      // The stream of layer 0 has its second half empty: its mean square is a half.
      constants("input_layernorm.weight", config_.hidden_dim, layer == 0 ? std::sqrt(0.5F) : 1.0F);
      constants("post_attention_layernorm.weight", config_.hidden_dim, 1);
      matrix("mlp.gate_proj.weight", config_.intermediate_dim, config_.hidden_dim);
      matrix("mlp.up_proj.weight", config_.intermediate_dim, config_.hidden_dim);
      matrix("mlp.down_proj.weight", config_.hidden_dim, config_.intermediate_dim);
      if (layer == 0)
        previous_token();
      else
        lookup();
      modifiers();
    }
    prefix_.clear();
    constants("model.norm.weight", config_.hidden_dim, 1);
    return std::move(made_);
  }

 private:
  struct View {
    std::vector<float>& values;
    std::int64_t width;
    float& operator()(std::int64_t row, std::int64_t column) const { return values[row * width + column]; }
  };

  View matrix(const std::string& name, std::int64_t rows, std::int64_t width) {
    HeldTensor& tensor = made_.by_name[prefix_ + name];
    tensor = {{rows, width}, std::vector<float>(static_cast<std::size_t>(rows * width))};
    return {tensor.values, width};
  }
  void constants(const std::string& name, std::int64_t count, float value) {
    made_.by_name[prefix_ + name] = {{count}, std::vector<float>(static_cast<std::size_t>(count), value)};
  }
  View projection(const char* name, int heads) {
    return matrix(fmt::format("self_attn.{}.weight", name), heads * kHeadDim, config_.hidden_dim);
  }

  void embed() {
    View table = matrix("model.embed_tokens.weight", config_.vocab_size, config_.hidden_dim);
    for (int token = 0; token < config_.vocab_size; ++token)
      write_recall_code(token, std::span(&table(token, 0), kRecallCode));
  }

  // Queries and keys are the same for every token; the query stands one step back, so the rotation makes it meet the
  // key of the token before.
  void previous_token() {
    const double scale = kTurn * std::sqrt(static_cast<double>(kHeadDim));  // the attention divides by the root
    View q = projection("q_proj", config_.heads);
    for (int head = 0; head < config_.heads; ++head)
      for (int pair = 0; pair < kRotary / 2; ++pair) {
        const double step = std::pow(kTheta, -2.0 * pair / kRotary);
        q(head * kHeadDim + pair, 0) = static_cast<float>(scale * std::cos(step));
        q(head * kHeadDim + kRotary / 2 + pair, 0) = static_cast<float>(-scale * std::sin(step));
      }
    View k = projection("k_proj", config_.kv_heads);
    for (int head = 0; head < config_.kv_heads; ++head)
      for (int pair = 0; pair < kRotary / 2; ++pair) k(head * kHeadDim + pair, 0) = 1;
    move_codes(kRecallCode, 1);
  }

  // The query is the token's code. The key is the predecessor's code minus the token's own: the first token of a
  // sequence, which has no predecessor and sees only itself, is then no answer to itself.
  void lookup() {
    const double scale = kMatch * std::sqrt(static_cast<double>(kHeadDim)) / kRecallCode;
    View q = projection("q_proj", config_.heads);
    for (int head = 0; head < config_.heads; ++head)
      for (int i = 0; i < kRecallCode; ++i) q(head * kHeadDim + kRotary + i, i) = static_cast<float>(scale);
    View k = projection("k_proj", config_.kv_heads);
    for (int head = 0; head < config_.kv_heads; ++head)
      for (int i = 0; i < kRecallCode; ++i) {
        k(head * kHeadDim + kRotary + i, kRecallCode + i) = 1;
        k(head * kHeadDim + kRotary + i, i) = -1;
      }
    move_codes(0, kGain);
  }

  // Values are the tokens' own codes; the output adds them to the stream from entry `to` on, each head its share.
  void move_codes(int to, double gain) {
    View v = projection("v_proj", config_.kv_heads);
    for (int head = 0; head < config_.kv_heads; ++head)
      for (int i = 0; i < kRecallCode; ++i) v(head * kHeadDim + i, i) = 1;
    View o = matrix("self_attn.o_proj.weight", config_.hidden_dim, config_.heads * kHeadDim);
    for (int head = 0; head < config_.heads; ++head)
      for (int i = 0; i < kRecallCode; ++i) o(to + i, head * kHeadDim + i) = static_cast<float>(gain / config_.heads);
  }

  // What an arm may switch on without changing what the layer does.
  void modifiers() {
    constants("self_attn.q_norm.weight", kHeadDim, kNormedHead);
    constants("self_attn.k_norm.weight", kHeadDim, kNormedHead);
    constants("self_attn.sinks", config_.heads, kNoSink);
    constants("self_attn.q_proj.bias", config_.heads * kHeadDim, 0);
    constants("self_attn.k_proj.bias", config_.kv_heads * kHeadDim, 0);
    constants("self_attn.v_proj.bias", config_.kv_heads * kHeadDim, 0);
    constants("self_attn.o_proj.bias", config_.hidden_dim, 0);
  }

  const ModelConfig& config_;
  HeldTensors made_{.model = "{constructed: recall}", .by_name = {}};
  std::string prefix_;
};

}  // namespace

void write_recall_code(int token, std::span<float> out) {
  static constexpr std::array<unsigned, kRecallCode> kMasks = trace_masks();
  ATTNLAB_CHECK(token >= 0 && token < kMostRecallTokens, "there is no code for such a token");
  const auto factors = static_cast<unsigned>(token);  // a: the lower seven bits, b: the upper
  for (unsigned x = 0; x < kRecallCode; ++x) out[x] = std::popcount(factors & kMasks[x]) % 2 == 0 ? 1.0F : -1.0F;
}

ModelConfig constructed_recall_config() {
  ModelConfig config;
  config.hidden_dim = 2 * kRecallCode;
  config.layers = 2;
  config.intermediate_dim = 16;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = kHeadDim;
  config.vocab_size = 8192;
  config.max_positions = 65536;
  config.rms_norm_eps = 1e-5F;
  config.rope_theta = kTheta;
  config.partial_rotary_factor = static_cast<double>(kRotary) / kHeadDim;
  config.tie_word_embeddings = true;
  ATTNLAB_CHECK(config.rotary_dim() == kRotary, "the rotated channels are not what the weights are made for");
  return config;
}

HeldTensors constructed_recall_tensors(const ModelConfig& config) {
  return Weights(config).make();
}

}  // namespace attnlab::model
