// Families that weigh or choose rows in their own way, against slow references in double precision that are written
// from their definitions: prompts in pieces, steps, position schemes, numbers of heads; batches and threads change
// nothing. Not here: their goldens (golden/family_layers_test).
#include <gtest/gtest.h>

#include "reference/family_reference.h"

namespace attnlab {
namespace {

using namespace reference;

constexpr std::uint64_t kSeed = 83;
constexpr double kTolerance = 1e-5;

struct Case {
  std::string name;
  VariantSpec spec;
  std::function<HeadWeights(const Variant& layer, const HeadRows& rows, const HeadWeights& scores,
                            const HeadWeights& bias, int query)>
      weigh;
};

CreateContext context(int heads, int kv_heads, int max_positions = 512) {
  return {.layer = 2,
          .layers = 4,
          .hidden_dim = kHidden,
          .heads = heads,
          .kv_heads = kv_heads,
          .head_dim = 16,
          .max_positions = max_positions,
          .rms_norm_eps = 1e-6F};
}

Case by_rows(const std::string& attention, int heads, int kv_heads, const WeighRows& weigh) {
  return {.name = attention + "_" + std::to_string(heads) + "_" + std::to_string(kv_heads),
          .spec = {.attention = attention, .context = context(heads, kv_heads)},
          .weigh = [weigh](const Variant&, const HeadRows& rows, const HeadWeights& scores, const HeadWeights& bias,
                           int query) { return weigh(rows, scores, bias, query); }};
}
Case talking(int heads, int kv_heads, bool pre, bool post) {
  return {.name = "talking_heads_" + std::to_string(kv_heads) + (pre ? "_pre" : "") + (post ? "_post" : ""),
          .spec = {.attention = "talking_heads",
                   .options = {{"pre", pre}, {"post", post}},
                   .context = context(heads, kv_heads)},
          .weigh = [=](const Variant& layer, const HeadRows&, const HeadWeights& scores, const HeadWeights& bias, int) {
            const auto matrix = [&](bool is_there, const char* name) {
              return is_there ? std::span<const float>(layer.values(name)) : std::span<const float>();
            };
            return talking_weights(matrix(pre, "talking_pre.weight"), matrix(post, "talking_post.weight"), scores,
                                   bias);
          }};
}
// room: of the state, in tokens; where it ends, means are computed anew.
Case moba(int heads, int kv_heads, int block, int top_k, int room = 512) {
  return {.name = "moba_" + std::to_string(kv_heads) + "_" + std::to_string(block) + "_" + std::to_string(top_k) +
                  (room < 512 ? "_little_room" : ""),
          .spec = {.attention = "moba",
                   .options = {{"block", std::int64_t{block}}, {"top_k", std::int64_t{top_k}}},
                   .context = context(heads, kv_heads, room)},
          .weigh = [=](const Variant&, const HeadRows& rows, const HeadWeights& scores, const HeadWeights& bias,
                       int query) { return moba_weights(block, top_k, rows, scores, bias, query); }};
}

class EveryFamily : public testing::TestWithParam<Case> {};

INSTANTIATE_TEST_SUITE_P(Attention, EveryFamily,
                         testing::Values(by_rows("entmax", 4, 2, entmax_weights),
                                         by_rows("entmax", 3, 3, entmax_weights),
                                         by_rows("stick_breaking", 4, 2, stick_breaking_weights),
                                         by_rows("stick_breaking", 4, 1, stick_breaking_weights),
                                         talking(4, 2, true, true), talking(4, 4, true, false),
                                         talking(6, 1, false, true), talking(4, 2, false, false), moba(4, 2, 8, 3),
                                         moba(4, 4, 7, 1), moba(4, 1, 40, 2), moba(4, 2, 1, 5), moba(4, 2, 64, 2),
                                         moba(4, 2, 8, 3, 32)),
                         [](const auto& info) { return info.param.name; });

TEST_P(EveryFamily, AgreesWithItsReferenceHoweverItIsFed) {
  constexpr int kTokens = 150;
  const auto& [name, spec, weigh] = GetParam();
  const std::vector<float> input = Stream(kSeed).normals(std::int64_t{kTokens} * kHidden);
  for (const Scheme& scheme : {Scheme{"none"}, rope(16), alibi(spec.context.heads)}) {
    const Variant parameters(spec, scheme);
    const Rows right = family_reference(spec.context, parameters, {input.begin(), input.end()}, scheme,
                                        [&](const HeadRows& rows, const HeadWeights& scores, const HeadWeights& bias,
                                            int query) { return weigh(parameters, rows, scores, bias, query); });
    for (const std::vector<int>& sizes : std::vector<std::vector<int>>{
             {kTokens}, {1, 149}, {64, 1, 1, 63, 2, 19}, {100, 50}, std::vector<int>(kTokens, 1)}) {
      Variant layer(spec, scheme);
      EXPECT_LT(normalised_error(layer.feed_pieces(sizes, input), right), kTolerance)
          << scheme.name << ", pieces from " << sizes[0] << ", seed " << kSeed;
    }
  }
}

TEST_P(EveryFamily, AnswersABatchAsItsSequencesAlone) {
  VariantSpec spec = GetParam().spec;
  std::deque<Variant> alone;
  for (int sequence = 0; sequence < 3; ++sequence) alone.emplace_back(spec, rope(16));
  spec.sequences = 3;
  Variant together(spec, rope(16));
  Stream stream(kSeed);
  for (const std::vector<int>& tokens : std::vector<std::vector<int>>{{70, 0, 3}, {1, 100, 1}, {0, 1, 40}, {1, 9, 0}}) {
    std::vector<float> input, right;
    for (int sequence = 0; sequence < 3; ++sequence) {
      const std::vector<float> own = stream.normals(std::int64_t{tokens[sequence]} * kHidden);
      input.insert(input.end(), own.begin(), own.end());
      if (tokens[sequence] == 0) continue;
      const std::vector<float> out = alone[sequence].feed({tokens[sequence]}, own);
      right.insert(right.end(), out.begin(), out.end());
    }
    EXPECT_LT(normalised_error(together.feed(tokens, input), right), kTolerance) << tokens[0] << ", " << tokens[1];
  }
}

TEST_P(EveryFamily, GivesTheSameBitsForEveryNumberOfThreads) {
  const KeepThreads keep;
  const auto run = [&](int count) {
    set_threads(count);
    Variant layer(GetParam().spec, rope(16));
    return layer.feed_pieces({130, 1, 19}, Stream(kSeed).normals(std::int64_t{150} * kHidden));
  };
  const std::vector<float> alone = run(1);
  for (const int count : {2, 5}) EXPECT_TRUE(same_bits(run(count), alone)) << count << " threads";
}

}  // namespace
}  // namespace attnlab
