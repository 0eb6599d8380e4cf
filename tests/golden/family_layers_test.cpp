// Families whose layers choose, weigh or share, in this process: both prompts of a fixture as one ragged batch, in
// pieces and token by token, and what the goldens have beside the logits: outputs of heads, the blocks that a head
// reads, the rows that have weight, the values that are cached. Definitions: fixtures/families/SPEC.md. Not here: the
// program on one prompt (logits_golden_test).
#include <attnlab/chosen_blocks.h>

#include "assembly/arm_model.h"
#include "choices/layered_choice.h"
#include "golden/golden_tensors.h"
#include "reference/plugins.h"
#include "steps/watched_steps.h"

namespace attnlab::program_test {
namespace {

using experiment::Arm;
using experiment::ModelSource;
using reference::plugins;

constexpr double kTolerance = 2e-4;

const fs::path kFamilies = kOwnFixtures / "families/models";

// The components of a manifest, in the model of its folder.
class Family {
 public:
  explicit Family(const std::string& name)
      : source_(ModelSource::open(kFamilies / name)), decoder_(make(name)), name_(name) {}

  // Feeds both prompts together, `piece` tokens of each at a time; the logits of each.
  std::vector<Values<float>> run(const std::vector<std::vector<model::TokenId>>& prompts, int piece) {
    const auto sequences = static_cast<int>(prompts.size());
    const std::int64_t vocab = decoder_.config().vocab_size;
    std::vector<int> lengths;
    for (const auto& prompt : prompts) lengths.push_back(static_cast<int>(prompt.size()));
    session_.emplace(decoder_.make_session(lengths));
    std::vector<Values<float>> logits(prompts.size());
    for (int i = 0; i < sequences; ++i) logits[i].shape = {lengths[i], vocab};
    for (int first = 0; first < std::ranges::max(lengths); first += piece) {
      std::vector<model::SequenceTokens> fed;
      for (int i = 0; i < sequences; ++i)
        if (const int count = std::min(piece, lengths[i] - first); count > 0)
          fed.push_back({.sequence = i,
                         .tokens = std::span(prompts[i]).subspan(first, count),
                         .phase = first + count == lengths[i] ? Phase::last_prefill : Phase::prefill,
                         .prompt_length = lengths[i]});
      const auto hidden = decoder_.forward(*session_, fed);
      std::int64_t row = 0;
      for (const model::SequenceTokens& one : fed) {
        const auto count = static_cast<std::int64_t>(one.tokens.size());
        std::vector<float>& all = logits[one.sequence].numbers;
        all.resize(all.size() + count * vocab);
        decoder_.logits(hidden.slice(row, count), {all.data() + all.size() - count * vocab, {count, vocab}});
        row += count;
      }
    }
    return logits;
  }
  [[nodiscard]] std::vector<model::TokenId> prompt(const std::string& golden) const {
    return read_manifest(kFamilies / name_ / (golden + ".json")).at("prompt_ids").get<std::vector<model::TokenId>>();
  }
  [[nodiscard]] fs::path tensors(const std::string& golden) const {
    return kFamilies / name_ / (golden + ".safetensors");
  }
  [[nodiscard]] model::Session& session() { return *session_; }
  [[nodiscard]] model::Decoder& decoder() { return decoder_; }

 private:
  model::Decoder make(const std::string& name) const {
    const nlohmann::json manifest = read_manifest(kFamilies / name / "golden.json");
    Arm arm;
    const auto choice = [&](Kind kind, const char* key, const std::string& otherwise) {
      return experiment::parse_layered(kind, manifest.value(key, otherwise), name, experiment::lookup_in(plugins()));
    };
    arm.attention = choice(Kind::attention, "attention", "");
    arm.position = choice(Kind::position, "position", "");
    arm.cache = choice(Kind::cache, "cache", "full");
    return build_decoder(resolve_arm(arm, source_.config(), plugins()), source_, plugins(), {});
  }

  ModelSource source_;
  model::Decoder decoder_;
  std::string name_;
  std::optional<model::Session> session_;
};

class EveryFamily : public testing::TestWithParam<const char*> {};

TEST_P(EveryFamily, AnswersBothPromptsInOneRaggedBatchHoweverTheyAreCut) {
  Family family(GetParam());
  for (const int piece : {1000, 16, 7, 1}) {
    const std::vector<Values<float>> logits = family.run({family.prompt("golden"), family.prompt("golden-b")}, piece);
    EXPECT_LT(largest_difference(logits[0], read_floats(family.tensors("golden"), "logits")), kTolerance) << piece;
    EXPECT_LT(largest_difference(logits[1], read_floats(family.tensors("golden-b"), "logits")), kTolerance) << piece;
  }
}

INSTANTIATE_TEST_SUITE_P(, EveryFamily,
                         testing::Values("moba", "moba-none", "cross-layer", "cross-layer-window", "value-residual",
                                         "value-residual-learned", "entmax", "stick-breaking", "talking-heads",
                                         "forgetting", "forgetting-rope-softcap", "forgetting-sink", "nsa", "nsa-none",
                                         "cope"),
                         [](const auto& test) { return test_name(test.param); });

// What attention of layer 0 does.
class FirstLayer final : public AttendWatcher {
 public:
  explicit FirstLayer(int block = 0) : block_(block) {}

  void attended(int layer, const AttendArgs& args, TensorView<const float, 3> out) override {
    if (layer != 0) return;
    for (std::int64_t token = 0; token < out.extent(0); ++token)
      for (int head = 0; head < out.extent(1); ++head) {
        for (std::int64_t i = 0; i < out.extent(2); ++i) heads.push_back(out(token, head, i));
        if (block_ > 0 && dynamic_cast<const ChosenBlocks*>(&args.mask) != nullptr)
          look_at_blocks(args, static_cast<int>(token), head);
        if (args.row_weighting != nullptr) support.push_back(count_support(args, static_cast<int>(token), head));
      }
  }
  std::vector<float> heads;                       // [tokens, heads, head_dim]
  std::vector<std::vector<std::uint8_t>> blocks;  // [tokens x heads][blocks up to the query's own]
  std::vector<std::int32_t> support;              // [tokens, heads] rows with weight

 private:
  void look_at_blocks(const AttendArgs& args, int token, int head) {
    const Position position = args.chunk.positions[token];
    std::vector<std::uint8_t>& read = blocks.emplace_back();
    for (int block = 0; block <= position / block_; ++block)
      read.push_back(args.mask.cover({.queries = {position, position},
                                      .keys = {block * block_, block * block_ + block_ - 1},
                                      .first_token = token,
                                      .first_head = head}) != MaskRule::Cover::none);
  }

  // Of one sequence: scores of the cached keys, through the weighting.
  static std::int32_t count_support(const AttendArgs& args, int token, int head) {
    const KvShape shape = args.source.shape();
    const Position position = args.chunk.positions[token];
    std::vector<float> query(&args.queries(token, head, 0), &args.queries(token, head, 0) + shape.key_dim);
    if (args.rotation != nullptr)
      rotate_columns(*args.rotation, {{&position, 1}, args.chunk.lengths[0], RotateSide::query}, shape,
                     {query.data(), {1, 1, shape.key_dim}});
    std::vector<float> scores;
    std::vector<Position> positions;
    for_each_tile(args.source, 0, head / static_cast<int>(args.queries.extent(1) / shape.kv_heads),
                  [&](const KvTile& tile) {
                    for (int row = 0; row < tile.rows(); ++row) {
                      if (tile.positions[row] > position) continue;
                      double sum = 0;
                      for (int i = 0; i < shape.key_dim; ++i) sum += double{query[i]} * tile.keys(row, i);
                      scores.push_back(static_cast<float>(sum * args.scale));
                      positions.push_back(tile.positions[row]);
                    }
                    return true;
                  });
    QueryScores row{.scores = {scores.data(), {1, 1, static_cast<std::int64_t>(scores.size())}},
                    .key_positions = positions,
                    .query_position = position};
    args.row_weighting->weigh(row);
    return static_cast<std::int32_t>(std::ranges::count_if(scores, [](float weight) { return weight > 0; }));
  }

  int block_;
};

void watch(Family& family, const std::string& golden, int piece, FirstLayer& layer) {
  Scratch scratch;
  WatchedSteps steps(scratch, layer);
  const model::WithSteps with(family.decoder(), steps);
  (void)family.run({family.prompt(golden)}, piece);
}

class EveryFamilysHeads : public testing::TestWithParam<const char*> {};

TEST_P(EveryFamilysHeads, AreThoseOfTheGoldenInTheFirstLayer) {
  Family family(GetParam());
  for (const int piece : {1000, 16, 1}) {
    FirstLayer layer;
    watch(family, "golden", piece, layer);
    const Values<float> golden = read_floats(family.tensors("golden"), "layers.0.attn_heads");
    EXPECT_LT(largest_difference({golden.shape, layer.heads}, golden), kTolerance) << piece;
  }
}

// Without nsa, whose heads are a mixture of three attentions: its logits are compared above.
INSTANTIATE_TEST_SUITE_P(, EveryFamilysHeads,
                         testing::Values("moba", "moba-none", "cross-layer", "cross-layer-window", "value-residual",
                                         "value-residual-learned", "entmax", "stick-breaking", "talking-heads",
                                         "forgetting", "forgetting-rope-softcap", "forgetting-sink", "cope"),
                         [](const auto& test) { return test_name(test.param); });

// A golden has what each head reads, or each kv head for all heads of its group.
TEST(BlockAttention, ReadsTheBlocksOfTheGolden) {
  for (const auto& [name, block] :
       {std::pair("moba", 8), std::pair("moba-none", 5), std::pair("nsa", 8), std::pair("nsa-none", 5)}) {
    Family family(name);
    for (const char* which : {"golden", "golden-b"})
      for (const int piece : {1000, 16, 1}) {
        FirstLayer layer(block);
        watch(family, which, piece, layer);
        const auto golden = read_tensor<std::uint8_t>(family.tensors(which), "layers.0.blocks", model::DType::u8);
        const auto blocks = static_cast<std::size_t>(golden.shape[2]);
        const std::size_t group = layer.blocks.size() * blocks / golden.numbers.size();
        ASSERT_EQ(layer.blocks.size() * blocks, golden.numbers.size() * group);
        for (std::size_t i = 0; i < layer.blocks.size(); ++i) {
          layer.blocks[i].resize(blocks);
          EXPECT_TRUE(
              std::ranges::equal(layer.blocks[i], std::span(golden.numbers).subspan(i / group * blocks, blocks)))
              << name << ", " << which << ", in pieces of " << piece << ": token and head " << i;
        }
      }
  }
}

TEST(Entmax, GivesWeightToAsManyRowsAsTheGolden) {
  Family family("entmax");
  for (const char* which : {"golden", "golden-b"}) {
    FirstLayer layer;
    watch(family, which, 16, layer);
    EXPECT_TRUE(layer.support ==
                read_tensor<std::int32_t>(family.tensors(which), "layers.0.support", model::DType::i32).numbers);
  }
}

TEST(ValueResidual, CachesTheMixedValues) {
  for (const char* name : {"value-residual", "value-residual-learned"}) {
    Family family(name);
    for (const int piece : {1000, 16, 1}) {
      (void)family.run({family.prompt("golden")}, piece);
      const Values<float> golden = read_floats(family.tensors("golden"), "layers.1.values");
      const LayerCache& cache = family.session().cache(1);
      const KvShape shape = cache.shape();
      Values<float> cached{golden.shape, std::vector<float>(golden.numbers.size())};
      for (int head = 0; head < shape.kv_heads; ++head)
        for_each_tile(cache, 0, head, [&](const KvTile& tile) {
          for (int row = 0; row < tile.rows(); ++row)
            std::ranges::copy(tile.values.row(row),
                              cached.numbers.begin() + (tile.positions[row] * shape.kv_heads + head) * shape.value_dim);
          return true;
        });
      EXPECT_LT(largest_difference(cached, golden), kTolerance) << name << ", in pieces of " << piece;
    }
  }
}

TEST(CrossLayer, KeepsRowsForTheFirstOfTheLayersThatShareThem) {
  Family family("cross-layer");
  (void)family.run({family.prompt("golden")}, 1000);
  model::Session& session = family.session();
  for (int layer = 0; layer < session.layers(); ++layer) {
    EXPECT_EQ(session.owns_rows(layer), layer % 2 == 0) << layer;
    EXPECT_EQ(&session.cache(layer), &session.cache(layer - layer % 2)) << layer;
  }
  EXPECT_EQ(session.live_rows(), std::int64_t{60} * session.shape(0).kv_heads * (session.layers() / 2));
}

}  // namespace
}  // namespace attnlab::program_test
