// Whether BOS stands before a text is one answer, given by the tokenizer's files, and every command gives the same one:
// tokenize, logits and the windows of perplexity. The checkpoint is that of a public bug report.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "e2e/experiments.h"

namespace attnlab::program_test {
namespace {

using nlohmann::json;

const fs::path kReported = fs::path(ATTNLAB_TEST_DATA_DIR) / "bughunt";

struct Setting {
  std::string name;
  bool has_template;   // of tokenizer.json: <s> before the text
  std::string config;  // tokenizer_config.json; empty: none
  bool begins_with_bos;
  std::string special;  // what `tokenize --special --text a` prints

  friend std::ostream& operator<<(std::ostream& stream, const Setting& setting) { return stream << setting.name; }
};

// Of every trial below `results`.
std::vector<json> details_in(const fs::path& results) {
  std::vector<json> details;
  for (const auto& entry : fs::directory_iterator(results / "trials"))
    if (entry.path().extension() == ".json") details.push_back(json::parse(read_file(entry.path())).at("details"));
  return details;
}

class Bos : public testing::TestWithParam<Setting> {
 protected:
  Bos() {
    fs::copy(kReported / "ppl-bos", sandbox_.path(), fs::copy_options::recursive);
    if (!GetParam().has_template) {
      json tokenizer = json::parse(read_file(sandbox_ / "tokenizer.json"));
      tokenizer["post_processor"] = nullptr;
      sandbox_.write("tokenizer.json", tokenizer.dump());
    }
    if (!GetParam().config.empty()) sandbox_.write("tokenizer_config.json", GetParam().config);
  }
  Sandbox sandbox_;
};

TEST_P(Bos, IsTheSameForTokenizeLogitsAndPerplexity) {
  EXPECT_EQ(sandbox_.run({"tokenize", ".", "--special", "--text", "a"}).out, GetParam().special + "\n");
  EXPECT_EQ(sandbox_.run({"tokenize", ".", "--text", "a"}).out, "97\n");

  const Outcome logits = sandbox_.run({"logits", ".", "--prompt", "a", "-o", "a.safetensors"});
  EXPECT_EQ(logits.exit_code, 0) << logits;
  const std::string file = read_file(sandbox_ / "a.safetensors");
  const auto header_bytes = static_cast<unsigned char>(file[0]) + 256U * static_cast<unsigned char>(file[1]);
  const json header = json::parse(file.substr(8, header_bytes));
  const auto ids = std::count(GetParam().special.begin(), GetParam().special.end(), ' ') + 1;
  EXPECT_EQ(header.at("logits").at("shape").at(0), ids);

  const Outcome run = sandbox_.run({"run", "exp.yaml", "-o", "out"});
  ASSERT_EQ(run.exit_code, 0) << run;
  const std::vector<json> trials = details_in(sandbox_ / "out");
  ASSERT_EQ(trials.size(), 1U);
  EXPECT_EQ(trials[0].at("windows_begin_with_bos"), GetParam().begins_with_bos);
  // 41 bytes: 3 windows of 15 after a BOS, in which all are predicted; or of 16, whose first nothing predicts.
  EXPECT_EQ(trials[0].at("tokens"), GetParam().begins_with_bos ? 41 : 38);
  EXPECT_EQ(trials[0].at("windows").at("tokens").size(), 3U);
}

INSTANTIATE_TEST_SUITE_P(
    , Bos,
    testing::Values(Setting{"TemplateAlone", true, "", true, "256 97"},
                    Setting{"TemplateAndItsName", true, R"({"bos_token": "<s>"})", true, "256 97"},
                    Setting{"TemplateForbidden", true, R"({"bos_token": "<s>", "add_bos_token": false})", false, "97"},
                    Setting{"NameAlone", false, R"({"bos_token": "<s>"})", false, "97"},
                    Setting{"NameAndTheWish", false, R"({"bos_token": "<s>", "add_bos_token": true})", true, "256 97"},
                    Setting{"EosToo", true, R"({"eos_token": "</s>", "add_eos_token": true})", true, "256 97 257"},
                    Setting{"Nothing", false, "", false, "97"}),
    [](const auto& setting) { return setting.param.name; });

// A template of two tokens: neither is predicted, whatever the prompt is.
TEST(WindowsWithATemplate, CountNoneOfItsTokens) {
  const Sandbox sandbox;
  fs::copy(kReported / "ppl-bos", sandbox.path(), fs::copy_options::recursive);
  json tokenizer = json::parse(read_file(sandbox / "tokenizer.json"));
  tokenizer["post_processor"]["special_tokens"]["<s>"]["ids"] = json::array({256, 257});
  sandbox.write("tokenizer.json", tokenizer.dump());
  int runs = 0;
  for (const char* prefill : {"", ", prefill: 1", ", prefill: 8"}) {
    sandbox.write("study.yaml",
                  Experiment{.model = ".",
                             .arms = "[{cache: full}]",
                             .workloads = "[{perplexity: {text: text.txt, context: 16" + std::string(prefill) + "}}]"}
                      .yaml());
    const std::string out = "out" + std::to_string(runs++);
    const Outcome run = sandbox.run({"run", "study.yaml", "-o", out, "--quiet"});
    ASSERT_EQ(run.exit_code, 0) << run;
    const std::vector<json> trials = details_in(sandbox / out);
    ASSERT_EQ(trials.size(), 1U);
    // Windows of 14, 14 and 13 bytes; after a prompt of 8, six of them its own, 8, 8 and 7 are left.
    EXPECT_EQ(trials[0].at("tokens"), std::string(prefill) == ", prefill: 8" ? 23 : 41) << prefill;
  }
  sandbox.write(
      "study.yaml",
      Experiment{.model = ".", .arms = "[{cache: full}]", .workloads = "[{perplexity: {text: text.txt, context: 2}}]"}
          .yaml());
  expect_refused(sandbox, {"validate", "study.yaml"}, {"text.txt", "no room for text after the 2 tokens"});
}

}  // namespace
}  // namespace attnlab::program_test
