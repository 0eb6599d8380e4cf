// Checkpoints as people have them, each once read wrongly or refused without a reason: the right logits, or a refusal
// that says why. The wanted numbers are those of transformers.
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "golden/golden_tensors.h"

namespace attnlab::program_test {
namespace {

fs::path folder(const std::string& name) {
  return fs::path(ATTNLAB_TEST_DATA_DIR) / "bughunt" / name;
}

Outcome run_logits(const Sandbox& sandbox, const fs::path& model, const fs::path& ids,
                   const std::vector<std::string>& flags = {}) {
  std::vector<std::string> command{"logits", model.string(), "--ids", ids.string(), "-o", "out.safetensors"};
  command.insert(command.end(), flags.begin(), flags.end());
  return sandbox.run(command);
}

Outcome run_logits(const Sandbox& sandbox, const fs::path& model, const std::vector<std::string>& flags = {}) {
  return run_logits(sandbox, model, model / "ids.txt", flags);
}

Values<float> logits_of(const fs::path& model, const std::vector<std::string>& flags = {},
                        const std::string& ids = {}) {
  const Sandbox sandbox;
  const fs::path file = ids.empty() ? model / "ids.txt" : sandbox.write("ids.txt", ids);
  const Outcome outcome = run_logits(sandbox, model, file, flags);
  expect_well(outcome);
  if (outcome.exit_code != 0) return {};
  return read_floats(sandbox / "out.safetensors", "logits");
}

void expect_last_row_begins(const Values<float>& logits, const std::vector<double>& wanted) {
  ASSERT_EQ(logits.shape.size(), 2u);
  for (std::size_t i = 0; i < wanted.size(); ++i)
    EXPECT_NEAR(logits.numbers[logits.numbers.size() - logits.shape[1] + i], wanted[i], 1.5e-4) << "logit " << i;
}

TEST(BughuntCheckpoints, ReadsThetaWhereItStandsInRopeScaling) {
  expect_last_row_begins(logits_of(folder("theta-in-rope-scaling")), {4.4706, -4.0648, 0.7778, 1.0351});
}

TEST(BughuntCheckpoints, TakesTheFactorOfYarnFromMscale) {
  expect_last_row_begins(logits_of(folder("yarn-mscale")), {4.3211, -4.0338, 0.9002, 1.0306});
}

TEST(BughuntCheckpoints, KeepsAStoredHeadThatDiffersFromTheTiedEmbedding) {
  const Sandbox sandbox;
  const Outcome outcome = run_logits(sandbox, folder("tied-lm-head-differs"));
  expect_well(outcome);
  expect_mentions(outcome.err, {"attnlab: warning: ", "lm_head.weight differs"});
  expect_last_row_begins(read_floats(sandbox / "out.safetensors", "logits"), {-1.7798, 1.4002, 0.0818, -1.3457});
}

// A copy of the model whose file's header has `from` replaced everywhere.
fs::path with_header(const Sandbox& sandbox, const fs::path& model, const std::string& from, const std::string& to) {
  const fs::path copy = sandbox / "copy";
  fs::remove_all(copy);
  fs::copy(model, copy);
  const std::string text = read_file(copy / "model.safetensors");
  std::uint64_t length = 0;
  std::memcpy(&length, text.data(), sizeof(length));
  std::string header = text.substr(sizeof(length), length);
  EXPECT_NE(header.find(from), std::string::npos) << from;
  for (std::size_t at = 0; (at = header.find(from, at)) != std::string::npos; at += to.size())
    header.replace(at, from.size(), to);
  const std::uint64_t new_length = header.size();
  std::string edited(sizeof(new_length), '\0');
  std::memcpy(edited.data(), &new_length, sizeof(new_length));
  std::ofstream(copy / "model.safetensors", std::ios::binary)
      << edited << header << text.substr(sizeof(length) + length);
  return copy;
}

// The same weights under the embedding's name, under the head's with the alias in the metadata, and without it.
TEST(BughuntCheckpoints, FindsATiedEmbeddingByItsAlias) {
  const Sandbox sandbox;
  const fs::path model = folder("tied-only-lm-head");
  const std::string alias = R"(,"model.embed_tokens.weight":"lm_head.weight")";
  const Values<float> by_alias = logits_of(model);
  const Values<float> by_head = logits_of(with_header(sandbox, model, alias, ""));
  const fs::path plain = with_header(sandbox, model, alias, "");
  const Sandbox other;
  const Values<float> by_name =
      logits_of(with_header(other, plain, "\"lm_head.weight\"", "\"model.embed_tokens.weight\""));
  ASSERT_FALSE(by_name.numbers.empty());
  EXPECT_EQ(by_alias.shape, by_name.shape);
  EXPECT_EQ(largest_difference(by_alias, by_name), 0);
  EXPECT_EQ(largest_difference(by_head, by_name), 0);
}

// An entry of a Hugging Face cache, however it is written, and in the user's own folder.
TEST(BughuntCheckpoints, ReadsACacheEntryInEveryCommand) {
  const Sandbox sandbox;
  const fs::path snapshot = sandbox / "models--org--name" / "snapshots" / "abc";
  fs::create_directories(snapshot.parent_path());
  fs::copy(folder("eos-list"), snapshot);
  for (const std::string name : {"models--org--name", "models--org--name/", "models--org--name/."}) {
    const Outcome tokens = sandbox.run({"tokenize", name, "--text", "ABC"});
    expect_well(tokens);
    EXPECT_EQ(tokens.out, sandbox.run({"tokenize", snapshot.string(), "--text", "ABC"}).out);
    const Outcome generated = sandbox.run({"generate", name, "--prompt", "ABC", "-n", "24", "--stop-at-eos"});
    expect_well(generated);
    EXPECT_EQ(generated.out, "ABCDEFGHIJ\n");
  }
  const char* const home = std::getenv("HOME");
  const std::string before = home == nullptr ? "" : home;
  ::setenv("HOME", sandbox.path().c_str(), 1);
  for (const std::string name : {"~/models--org--name", "$HOME/models--org--name", "${HOME}/models--org--name"})
    expect_well(sandbox.run({"tokenize", name, "--text", "ABC"}));
  if (home == nullptr)
    ::unsetenv("HOME");
  else
    ::setenv("HOME", before.c_str(), 1);
}

TEST(BughuntCheckpoints, RefusesFewerKvHeadsThanTheWeightsHave) {
  const Sandbox sandbox;
  const fs::path model = folder("kv-heads-mismatch");
  for (const char* attention : {"gqa", "mqa", "mha", "{gqa: {kv_heads: 4}}"})
    expect_refused(sandbox,
                   {"logits", model.string(), "--ids", (model / "ids.txt").string(), "--attention", attention, "-o",
                    "out.safetensors"},
                   {"k_proj.weight", "holds 4 kv heads", "num_key_value_heads 2"});
}

TEST(BughuntCheckpoints, NamesTheQuantisationOfACheckpoint) {
  const Sandbox sandbox;
  const fs::path model = folder("gptq-message");
  expect_refused(sandbox, {"logits", model.string(), "--ids", (model / "ids.txt").string(), "-o", "out.safetensors"},
                 {"config.json", "quantised with \"gptq\"", "F32, F16 or BF16"});
}

TEST(BughuntCheckpoints, TakesTheSpellingsOfTransformers) {
  const Sandbox sandbox;
  const fs::path original = folder("configs-refused");
  int taken = 0;
  for (const auto& entry : fs::directory_iterator(original)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("config-")) continue;
    ++taken;
    SCOPED_TRACE(name);
    const fs::path model = sandbox / name.substr(0, name.find('.'));
    fs::create_directory(model);
    fs::copy_file(entry.path(), model / "config.json");
    for (const char* file : {"ids.txt", "model.safetensors"}) fs::copy_file(original / file, model / file);
    EXPECT_FALSE(logits_of(model).numbers.empty());
  }
  EXPECT_EQ(taken, 6);
}

TEST(BughuntCheckpoints, ReadsTheWindowsOfInterleavedLayers) {
  const fs::path model = folder("qwen3-layer-types");
  const std::string ids = "1 2 3 4 5 6 7 8 9 10 11 12 13 1 3 5 7 9 11 13 2 4 6 8";  // far more than a window of 4
  const Values<float> own = logits_of(model, {}, ids);
  const Values<float> written =
      logits_of(model, {"--attention", "{mqa: {window: 4}, layers: {\"1\": {mqa: {window: 0}}}}"}, ids);
  const Values<float> without = logits_of(model, {"--attention", "{mqa: {window: 0}}"}, ids);
  EXPECT_EQ(largest_difference(own, written), 0);
  EXPECT_GT(largest_difference(own, without), 1e-3);
}

TEST(BughuntCheckpoints, RefusesLogitsThatAreNotANumber) {
  const fs::path model = folder("nan-silent");
  for (const std::vector<std::string>& flags : std::vector<std::vector<std::string>>{{}, {"--chunk", "1"}}) {
    const Sandbox sandbox;
    const Outcome outcome = run_logits(sandbox, model, flags);
    EXPECT_EQ(outcome.exit_code, 1) << outcome;
    expect_mentions(outcome.first_error(), {"attnlab: the logits of position ", "hold NaN"});
    EXPECT_TRUE(sandbox.files().empty());
  }
  const Sandbox sandbox;
  const Outcome generated = sandbox.run({"generate", model.string(), "--prompt", "ab", "-n", "4"});
  EXPECT_EQ(generated.exit_code, 1) << generated;
  expect_mentions(generated.first_error(), {"attnlab: the logits of position ", "hold NaN"});
  EXPECT_EQ(generated.out, "ab\n") << "the line ends before the error";
  EXPECT_EQ(run_logits(sandbox, model, model / "ids.txt", {"--allow-nonfinite"}).exit_code, 0);
}

TEST(BughuntCheckpoints, EndsATextAtAnyOfTheModelsEndTokens) {
  const Sandbox sandbox;
  const fs::path copy = sandbox / "model";
  fs::copy(folder("eos-list"), copy);
  const auto generated = [&] {
    const Outcome outcome = sandbox.run({"generate", copy.string(), "--prompt", "ABC", "-n", "24", "--stop-at-eos"});
    expect_well(outcome);
    return outcome.out;
  };
  EXPECT_EQ(generated(), "ABCDEFGHIJ\n");
  fs::remove(copy / "tokenizer_config.json");
  EXPECT_EQ(generated(), "ABCDEFGHIJ\n");
  fs::remove(copy / "generation_config.json");
  EXPECT_EQ(generated(), "ABCDEFGHIJ\n");
}

// What an odd head_dim cannot have is a rotation, and an arm may take another scheme.
TEST(BughuntCheckpoints, OddHeadsAreRefusedByRopeOnly) {
  const Sandbox sandbox;
  sandbox.write("odd.yaml",
                "{hidden_size: 30, num_hidden_layers: 1, intermediate_size: 16, num_attention_heads: 2, head_dim: 15, "
                "vocab_size: 64}");
  sandbox.write("ids.txt", "1 2 3");
  const auto logits = [](const std::string& position) {
    return std::vector<std::string>{"logits", "odd.yaml", "--ids", "ids.txt", "--position", position, "-o", "out.st"};
  };
  expect_refused(sandbox, logits("rope"), {"rope rotates pairs", "15", "even"});
  for (const char* position : {"none", "alibi", "{rope: {partial_rotary_factor: 0.94}}"})  // 14 of 15 are rotated
    expect_well(sandbox.run(logits(position)));
  const auto validate = [&](const std::string& position) {
    sandbox.write("study.yaml", "name: odd\nmodel: odd.yaml\nrepeats: 1\narms:\n  - {position: none}\n  - {position: " +
                                    position + "}\nworkloads: [{speed: {prompt: 8, generate: 2}}]\n");
    return std::vector<std::string>{"validate", "study.yaml"};
  };
  expect_refused(sandbox, validate("rope"), {"study.yaml:6:", "rope rotates pairs"});
  expect_well(sandbox.run(validate("alibi")));
}

}  // namespace
}  // namespace attnlab::program_test
