// Models in GGUF files against goldens computed in float64 from the dequantised weights by an independent program: the
// logits through the command, and the ids of texts.
#include <optional>

#include "golden/golden_tensors.h"
#include "model/checkpoints/checkpoint.h"
#include "model/tokenizers/tokenizer.h"

namespace attnlab::program_test {
namespace {

constexpr double kTolerance = 2e-4;  // the manifests ask for 1e-3

std::vector<fs::path> every_folder() {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(kOwnFixtures / "gguf"))
    if (entry.is_directory()) folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  return folders;
}

class EveryGguf : public testing::TestWithParam<fs::path> {
 protected:
  nlohmann::json manifest_ = read_manifest(GetParam() / "golden.json");
  fs::path file_ = GetParam() / manifest_.at("file").get<std::string>();
};

INSTANTIATE_TEST_SUITE_P(, EveryGguf, testing::ValuesIn(every_folder()),
                         [](const auto& test) { return test_name(test.param.filename().string()); });

TEST_P(EveryGguf, HasTheLogitsOfItsWeights) {
  const Sandbox sandbox;
  sandbox.write("ids.txt", ids_text(manifest_.at("prompt_ids")));
  const Values<float> golden = read_floats(GetParam() / "golden.safetensors", "logits");
  for (const char* chunk : {"", "16", "1"}) {
    std::vector<std::string> command{"logits", file_.string(), "--ids", "ids.txt", "-o", "out.safetensors"};
    if (*chunk != 0) command.insert(command.end(), {"--chunk", chunk});
    expect_well(sandbox.run(command));
    EXPECT_LT(largest_difference(read_floats(sandbox / "out.safetensors", "logits"), golden), kTolerance) << chunk;
  }
}

TEST_P(EveryGguf, CutsTextsAsPublished) {
  const std::unique_ptr<model::Tokenizer> tokenizer = model::load_tokenizer(file_);
  for (const nlohmann::json& one : manifest_.at("tokenizer").at("cases")) {
    const std::string text = one.at("text");
    const std::vector<model::TokenId> ids = tokenizer->encode(text);
    EXPECT_EQ(ids, one.at("ids").get<std::vector<model::TokenId>>()) << text;
    // A space that the tokenizer puts in front goes again.
    EXPECT_EQ(tokenizer->decode(ids), text);
  }
}

// Ranges that begin and end inside of blocks and of rows whose order is another.
TEST_P(EveryGguf, GivesTheSameNumbersInPieces) {
  const model::Checkpoint checkpoint = model::Checkpoint::open(file_);
  for (const char* name : {"model.layers.0.self_attn.k_proj.weight", "model.layers.0.mlp.down_proj.weight"}) {
    const std::optional<model::StoredTensor> tensor = checkpoint.find(name);
    ASSERT_TRUE(tensor) << name;
    std::vector<float> whole(static_cast<std::size_t>(tensor->info->elements())), pieces(whole.size());
    model::read_f32(*tensor, whole);
    for (std::size_t from = 0, size = 1; from < pieces.size(); from += size, size = size * 2 + 1) {
      size = std::min(size, pieces.size() - from);
      model::read_f32(*tensor, static_cast<std::int64_t>(from), std::span(pieces).subspan(from, size));
    }
    EXPECT_EQ(whole, pieces) << name;
  }
}

TEST_P(EveryGguf, IsMeasuredAsACheckpoint) {
  const Sandbox sandbox;
  sandbox.write("study.yaml", "name: study\nmodel: " + file_.string() +
                                  "\nrepeats: 1\narms: [{cache: full}, {weights: int8}]\n"
                                  "workloads: [{speed: {batch: [q8]}}, {generate: {prompt: the cat, tokens: 4}}]\n");
  expect_well(sandbox.run({"run", "study.yaml", "-o", "out", "--threads", "1"}));
  sandbox.write("train.yaml", "model: " + file_.string() +
                                  "\nseed: 1\ntrain: {task: {recall: {length: 8, pairs: 2, vocab: 64}}, batch: 2, "
                                  "steps: 2, optimiser: {adamw: {lr: 0.01}}}\n");
  const Outcome refused = sandbox.run({"train", "train.yaml", "-o", "trained"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.err.find("cannot be the start of a training"), std::string::npos) << refused.err;
}

TEST(GgufGoldens, AreAllThereAndCopiesOfTheSharedFixtures) {
  EXPECT_EQ(every_folder().size(), 6U);
  if (!fs::exists(kSharedFixtures)) GTEST_SKIP() << "missing: " << kSharedFixtures.string();
  for (const fs::path& folder : every_folder())
    for (const auto& entry : fs::directory_iterator(folder))
      EXPECT_TRUE(read_file(entry.path()) ==
                  read_file(kSharedFixtures / "gguf" / folder.filename() / entry.path().filename()))
          << entry.path();
}

}  // namespace
}  // namespace attnlab::program_test
