// Every key of a tokenizer.json is used or refused: a key that no part knows is refused by name, and a key that a part
// knows changes what comes out.
#include "unit/tokenizer_fixture.h"

namespace attnlab::model::tokenizer_test {
namespace {

using nlohmann::json;

json whole(const std::string& pointer, const json& part) {
  json file = tokenizer_of({"a", "b", "A",  " ", ".", "<s>", "</s>",   "<unk>",  "▁",  "é",  "e",  "\u0301", "ab",
                            "_", "Ġ", "Ġa", "1", "2", "12",  "<0xC3>", "<0xA8>", "a_", "_a", "▁a", "a▁"});
  file["model"]["merges"] = {"a b", "1 2", "a _", "a ▁", "▁ a"};
  file["model"]["unk_token"] = "<unk>";
  if (!pointer.empty()) file[json::json_pointer(pointer)] = part;
  return file;
}

// What the tokenizer does with a few texts, or why it is none.
std::string behaviour(const json& file) {
  std::string seen;
  const std::string error = error_of([&] {
    const auto tokenizer = load(file);
    for (const char* text :
         {"ab a  b.", " ab1212a", "e\u0301A<s>a", "a_a_", "xyè", "ab", "é <s> a", "..", "Ġa", "a ", "a a"}) {
      const std::vector<TokenId> ids = tokenizer->encode_with_special(text);
      for (const TokenId id : ids) seen += std::to_string(id) + " ";
      seen += tokenizer->decode(ids) + "\n";
    }
    seen += tokenizer->decode(std::vector<TokenId>{23, 8, 0, 19, 20, 3, 0, 0, 13, 13});
  });
  return error.empty() ? seen : error.substr(error.find("tokenizer.json"));
}

struct Part {
  std::string pointer;
  json value;
  std::vector<std::pair<std::string, json>> keys;  // with values that must make a difference
  std::vector<std::string> without_effect;         // read by other programs for what is not done here
};

const json kRegex = {{"Regex", "_"}};
const json kAdded = {{"id", 5},         {"content", "<s>"}, {"single_word", false},
                     {"lstrip", false}, {"rstrip", false},  {"normalized", false}};

std::vector<Part> parts() {
  const json prefixed = {{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}};
  const json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const json templated = {
      {"type", "TemplateProcessing"},
      {"single", {prefixed, text}},
      {"pair", json::array()},
      {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", json::array({5})}, {"tokens", json::array({"<s>"})}}}}}};
  return {
      {"", whole("", nullptr), {{"version", "2.0"}}, {"truncation", "padding"}},
      {"/model",
       whole("", nullptr)["model"],
       {{"type", "Unigram"},
        {"vocab", {{"a", 0}}},
        {"merges", json::array()},
        {"dropout", 0.5},
        {"unk_token", "<s>"},
        {"fuse_unk", true},
        {"byte_fallback", true},
        {"ignore_merges", true},
        {"continuing_subword_prefix", "##"},
        {"end_of_word_suffix", "</w>"}},
       {}},
      {"/added_tokens/0",
       kAdded,
       {{"id", 6}, {"content", "b."}, {"single_word", true}, {"lstrip", true}, {"rstrip", true}, {"normalized", true}},
       {"special"}},
      {"/normalizer", {{"type", "NFC"}}, {{"type", "NFD"}}, {}},
      {"/normalizer", {{"type", "NFKD"}}, {{"type", "NFKC"}}, {}},
      {"/normalizer", {{"type", "Lowercase"}}, {{"type", "NFC"}}, {}},
      {"/normalizer", {{"type", "StripAccents"}}, {{"type", "NFC"}}, {}},
      {"/normalizer",
       {{"type", "Strip"}, {"strip_left", true}, {"strip_right", true}},
       {{"strip_left", false}, {"strip_right", false}},
       {}},
      {"/normalizer", {{"type", "Prepend"}, {"prepend", "▁"}}, {{"prepend", "a"}}, {}},
      {"/normalizer",
       {{"type", "Replace"}, {"pattern", kRegex}, {"content", "b"}},
       {{"pattern", {{"String", "a"}}}, {"content", "a"}},
       {}},
      {"/normalizer",
       {{"type", "Sequence"}, {"normalizers", json::array({{{"type", "NFC"}}})}},
       {{"normalizers", json::array({{{"type", "NFD"}}})}},
       {}},
      {"/pre_tokenizer",
       {{"type", "Split"}, {"pattern", kRegex}, {"behavior", "Removed"}, {"invert", false}},
       {{"pattern", {{"String", "a"}}}, {"behavior", "Isolated"}, {"invert", true}},
       {}},
      {"/pre_tokenizer", {{"type", "Digits"}, {"individual_digits", false}}, {{"individual_digits", true}}, {}},
      {"/pre_tokenizer", {{"type", "Punctuation"}, {"behavior", "Isolated"}}, {{"behavior", "Removed"}}, {}},
      {"/pre_tokenizer",
       {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}, {"trim_offsets", true}},
       {{"add_prefix_space", true}, {"use_regex", false}},
       {"trim_offsets"}},
      {"/pre_tokenizer",
       {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "first"}, {"split", true}},
       {{"replacement", "_"}, {"prepend_scheme", "never"}, {"add_prefix_space", false}, {"split", false}},
       {"str_rep"}},
      {"/pre_tokenizer",
       {{"type", "Sequence"}, {"pretokenizers", json::array({{{"type", "Digits"}}})}},
       {{"pretokenizers", json::array({{{"type", "Digits"}, {"individual_digits", true}}})}},
       {}},
      {"/post_processor",
       templated,
       {{"single", {text, prefixed}}, {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", json::array({6})}}}}}},
       {"pair"}},
      {"/post_processor",
       {{"type", "RobertaProcessing"}, {"cls", {"<s>", 5}}, {"sep", {"</s>", 6}}},
       {{"cls", {"</s>", 6}}, {"sep", {"<s>", 5}}},
       {"trim_offsets", "add_prefix_space"}},
      {"/post_processor",
       {{"type", "BertProcessing"}, {"cls", {"<s>", 5}}, {"sep", {"</s>", 6}}},
       {{"cls", {"</s>", 6}}, {"sep", {"<s>", 5}}},
       {}},
      {"/post_processor",
       {{"type", "Sequence"}, {"processors", json::array({templated})}},
       {{"processors", json::array()}},
       {}},
      {"/post_processor",
       {{"type", "ByteLevel"}},
       {{"type", "BertProcessing"}},
       {"add_prefix_space", "trim_offsets", "use_regex"}},
      {"/decoder", {{"type", "ByteLevel"}}, {{"type", "Fuse"}}, {"add_prefix_space", "trim_offsets", "use_regex"}},
      {"/decoder",
       {{"type", "Replace"}, {"pattern", kRegex}, {"content", "b"}},
       {{"pattern", {{"String", "a"}}}, {"content", "a"}},
       {}},
      {"/decoder", {{"type", "ByteFallback"}}, {{"type", "Fuse"}}, {}},
      {"/decoder", {{"type", "Fuse"}}, {{"type", "ByteFallback"}}, {}},
      {"/decoder",
       {{"type", "Strip"}, {"content", "_"}, {"start", 1}, {"stop", 0}},
       {{"content", "a"}, {"start", 0}, {"stop", 1}},
       {}},
      {"/decoder",
       {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "always"}},
       {{"replacement", "_"}, {"prepend_scheme", "never"}, {"add_prefix_space", false}},
       {"split", "str_rep"}},
      {"/decoder",
       {{"type", "Sequence"}, {"decoders", json::array({{{"type", "Fuse"}}})}},
       {{"decoders", json::array({{{"type", "ByteFallback"}}})}},
       {}},
  };
}

json at(const Part& part, const json& value) {
  if (part.pointer.empty()) return value;
  json file = whole("", nullptr);
  if (part.pointer == "/added_tokens/0") {
    file["added_tokens"] = json::array({value});
    file["normalizer"] = {{"type", "Prepend"}, {"prepend", "▁"}};  // what `normalized` is about
  } else {
    file[json::json_pointer(part.pointer)] = value;
  }
  return file;
}

TEST(TokenizerKeys, ThatNoPartKnowsAreRefusedByName) {
  for (const Part& part : parts()) {
    json value = part.value;
    value["unheard_of"] = 1;
    EXPECT_NE(behaviour(at(part, value)).find("has the key \"unheard_of\", which is not supported; supported: "),
              std::string::npos)
        << part.pointer << " " << part.value;
    value["unheard_of"] = nullptr;  // says nothing
    EXPECT_EQ(behaviour(at(part, value)), behaviour(at(part, part.value))) << part.pointer << " " << part.value;
  }
}

TEST(TokenizerKeys, ThatAPartKnowsMakeADifference) {
  for (const Part& part : parts()) {
    const std::string before = behaviour(at(part, part.value));
    EXPECT_FALSE(before.starts_with("tokenizer.json")) << before;
    for (const auto& [key, other] : part.keys) {
      json value = part.value;
      value[key] = other;
      EXPECT_NE(behaviour(at(part, value)), before) << part.pointer << " " << part.value << ": " << key;
    }
    for (const std::string& key : part.without_effect) {
      json value = part.value;
      value[key] = true;
      EXPECT_EQ(behaviour(at(part, value)), before) << part.pointer << " " << part.value << ": " << key;
    }
  }
}

TEST(TokenizerKeys, OfPatternsAndTemplatesAreRefusedToo) {
  json file = whole("/pre_tokenizer", {{"type", "Split"}, {"behavior", "Isolated"}});
  file["pre_tokenizer"]["pattern"] = {{"Regex", "a"}, {"Flags", "i"}};
  EXPECT_EQ(behaviour(file),
            "tokenizer.json: pre_tokenizer.pattern has the key \"Flags\", which is not supported; "
            "supported: String, Regex");
  file = whole("/post_processor", {{"type", "TemplateProcessing"}, {"special_tokens", json::object()}});
  file["post_processor"]["single"] = json::array({{{"Sequence", {{"id", "A"}, {"only", 3}}}}});
  EXPECT_EQ(behaviour(file),
            "tokenizer.json: post_processor.single[0].Sequence has the key \"only\", which is not supported; "
            "supported: id, type_id");
}

}  // namespace
}  // namespace attnlab::model::tokenizer_test
