// YAML text in, values with places out: what is accepted, what is refused and in which words.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#include <gtest/gtest.h>

#include <attnlab/error.h>

#include "config/map_reader.h"
#include "config/node.h"
#include "config/plugin_choice.h"
#include "config/problem_list.h"
#include "config/scalars.h"
#include "config/set_override.h"
#include "config/yaml_writer.h"

namespace attnlab::config {
namespace {

template <class Function>
std::string error_of(const Function& function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::string parse_error(const std::string& text) {
  return error_of([&] { (void)parse_text(text, "f.yaml"); });
}

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

std::string json_of(const std::string& text) {
  return to_json(parse_text(text, "f.yaml")).dump();
}

TEST(ConfigNode, EveryValueKnowsItsPlace) {
  const Node root = parse_text("a: 1\nb:\n  - x\n  - {c: 'y'}\n", "f.yaml");
  ASSERT_TRUE(root.is_map());
  EXPECT_EQ(root.mark().text(), "f.yaml:1:1");
  EXPECT_EQ(root.find("a")->mark().text(), "f.yaml:1:4");
  EXPECT_EQ(root.entries()[1].key_mark.text(), "f.yaml:2:1");
  const Node& list = *root.find("b");
  ASSERT_EQ(list.items().size(), 2U);
  EXPECT_EQ(list.items()[0].mark().text(), "f.yaml:3:5");
  EXPECT_EQ(list.items()[1].find("c")->mark().text(), "f.yaml:4:9");
  EXPECT_TRUE(list.items()[1].find("c")->quoted());
  EXPECT_FALSE(list.items()[0].quoted());
  EXPECT_EQ(root.find("z"), nullptr);
}

TEST(ConfigNode, AValueThatIsMissingStandsAtItsKey) {
  const Node root = parse_text("gqa:\n\n\nmha: 1\n", "f.yaml");
  EXPECT_TRUE(root.find("gqa")->is_null());
  EXPECT_EQ(root.find("gqa")->mark().text(), "f.yaml:1:1");
}

TEST(ConfigNode, ColumnsCountBytesAndLinesMayEndInCarriageReturns) {
  const Node root = parse_text("\xc3\xa9: 1\r\nb: 2\r\n", "f.yaml");
  EXPECT_EQ(root.find("\xc3\xa9")->mark().text(), "f.yaml:1:5");
  EXPECT_EQ(root.find("b")->mark().text(), "f.yaml:2:4");
}

TEST(ConfigNode, BlocksAndQuotesAreText) {
  const Node root = parse_text("a: |\n  1\nb: \"1\"\nc: !!str 1\nd: 1\n", "f.yaml");
  EXPECT_EQ(root.find("a")->text(), "1\n");
  for (const char* key : {"a", "b", "c"}) EXPECT_TRUE(root.find(key)->quoted()) << key;
  EXPECT_FALSE(root.find("d")->quoted());
}

TEST(ConfigNode, AnchorsRepeatValues) {
  EXPECT_EQ(json_of("a: &x [1, 2]\nb: *x\n"), R"({"a":[1,2],"b":[1,2]})");
}

TEST(ConfigNode, MergedKeysYieldToExplicitOnesAndToEarlierMaps) {
  EXPECT_EQ(json_of("x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\n"), R"({"x":{"a":1,"b":2},"y":{"b":3,"a":1}})");
  EXPECT_EQ(json_of("x: {<<: [{a: 1}, {a: 2, c: 3}]}\n"), R"({"x":{"a":1,"c":3}})");
  EXPECT_EQ(json_of("x: {'<<': 1}\n"), R"({"x":{"<<":1}})");
}

TEST(ConfigNode, SyntaxErrorsHaveAPlaceAndPlainWords) {
  EXPECT_EQ(parse_error("a: b: c\n"),
            "f.yaml:1:5: not valid YAML: illegal map value; a text that holds \": \" belongs in quotes");
  EXPECT_EQ(parse_error("a: @x\n"),
            "f.yaml:1:4: not valid YAML: unknown token; a text that begins with this character belongs in quotes");
  EXPECT_EQ(parse_error("x: 1\na: [1,\n"), "f.yaml:2:4: not valid YAML: this [ is not closed");
  EXPECT_EQ(parse_error("["), "f.yaml:1:1: not valid YAML: this [ is not closed");
  EXPECT_EQ(parse_error("a: {b: 1\n"), "f.yaml:1:4: not valid YAML: this { is not closed");
  EXPECT_EQ(parse_error("a: {gqa:{kv_heads: 2}}\n"),
            "f.yaml:1:9: not valid YAML: expected , or } here; a blank belongs after each colon");
  EXPECT_EQ(parse_error("b: 1\na: \"x\n"),
            "f.yaml:2:1: not valid YAML: a quote that is opened after this is not closed");
  EXPECT_EQ(parse_error("b: 1\na: 'x"), "f.yaml:2:1: not valid YAML: a quote that is opened after this is not closed");
  EXPECT_EQ(parse_error("a:\n  b: 1\n c: 2\n"),
            "f.yaml:3:2: not valid YAML: this line belongs neither to the block above it nor to one further out; check "
            "its indentation");
  EXPECT_EQ(
      parse_error("- a\nb: 1\n"),
      "f.yaml:2:1: not valid YAML: this does not belong to what stands before it; keys and list items do not mix");
  EXPECT_EQ(parse_error("a: *b\n"), "f.yaml:1:4: not valid YAML: the referenced anchor is not defined");
}

TEST(ConfigNode, TabsInTheIndentationAreNamed) {
  EXPECT_EQ(parse_error("a:\n\tb: 1\n"), "f.yaml:2:1: a tab in the indentation; indent with spaces");
  EXPECT_EQ(parse_error("a:\n  b: 1\n  \tc: 2\n"), "f.yaml:3:3: a tab in the indentation; indent with spaces");
}

TEST(ConfigNode, TabsElsewhereAreBlanks) {
  EXPECT_EQ(json_of("a:\t1\t# c\nb: [\n\t2]\n"), R"({"a":1,"b":[2]})");
}

TEST(ConfigNode, EveryDuplicateKeyIsReported) {
  EXPECT_EQ(parse_error("a: 1\nb: 1\na: 2\nc: {x: 1, x: 2}\n"),
            "f.yaml:3:1: the key \"a\" stands here a second time; the first is at f.yaml:1:1\n"
            "f.yaml:4:11: the key \"x\" stands here a second time; the first is at f.yaml:4:5");
}

TEST(ConfigNode, KeysArePlainText) {
  for (const char* text : {"[a]: 1\n", "{a: 1}: 1\n", "~: 1\n", ": 1\n"})
    EXPECT_EQ(parse_error(text), "f.yaml:1:1: a key must be plain text") << text;
}

TEST(ConfigNode, UnknownTagsAreRefused) {
  EXPECT_EQ(parse_error("a: !foo 5\n"), "f.yaml:1:4: the tag \"!foo\" is not known; leave it out");
}

TEST(ConfigNode, BytesThatAreNoTextAreRefused) {
  EXPECT_EQ(parse_error("a: 1\nb: \xff\n"), "f.yaml:2:4: not UTF-8");
  EXPECT_EQ(parse_error("a: \xed\xa0\x80\n"), "f.yaml:1:4: not UTF-8");
  EXPECT_EQ(parse_error("a: \xc0\xaf\n"), "f.yaml:1:4: not UTF-8");
  EXPECT_EQ(parse_error("a: \xf4\x90\x80\x80\n"), "f.yaml:1:4: not UTF-8");
  EXPECT_EQ(parse_error("a: \xe2\x82"), "f.yaml:1:4: not UTF-8");
  EXPECT_EQ(parse_error("a: \x04\n"), "f.yaml:1:4: the control character 0x04");
  EXPECT_EQ(parse_error(std::string("a: \0\n", 5)), "f.yaml:1:4: the control character 0x00");
}

TEST(ConfigNode, OneFileHoldsOneDocument) {
  EXPECT_EQ(parse_error("a: 1\n---\nb: 2\n"), "f.yaml:2:1: a second document begins here; one file, one document");
  for (const char* text : {"", "# only a comment\n", "---\n", "\n\n", "~\n"})
    EXPECT_EQ(parse_error(text), "f.yaml: there is no YAML in it") << text;
  EXPECT_EQ(json_of("%YAML 1.2\n---\na: 1\n...\n"), R"({"a":1})");
  EXPECT_EQ(json_of("\xef\xbb\xbf"
                    "a: 1\n"),
            R"({"a":1})");
}

TEST(ConfigNode, NestingIsLimited) {
  EXPECT_EQ(parse_error(repeated("- ", 64) + "x"), "no error");
  EXPECT_EQ(parse_error(repeated("- ", 65) + "x"), "f.yaml:1:129: nested deeper than 64 levels");
  EXPECT_EQ(parse_error(repeated("- ", 10'000) + "x"), "f.yaml:1:129: nested deeper than 64 levels");
  EXPECT_EQ(parse_error(repeated("[", 100'000)), "f.yaml:1:33: nested deeper than 64 levels");
  EXPECT_EQ(parse_error(repeated("{a: ", 10'000)), "f.yaml:1:253: nested deeper than 64 levels");
}

TEST(ConfigNode, AliasesCannotNestDeeperThanTheText) {
  std::string text = "a0: &a0 [x]\n";
  for (int i = 1; i < 100; ++i)
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + std::to_string(i - 1) + "]\n";
  EXPECT_EQ(parse_error(text), "f.yaml:64:12: nested deeper than 64 levels");
}

TEST(ConfigNode, AliasBombsEndAtTheBudget) {
  std::string text = "a0: &a0 [x]\n";
  for (int i = 1; i < 20; ++i)
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" +
            repeated("*a" + std::to_string(i - 1) + ",", 9) + "]\n";
  EXPECT_EQ(parse_error(text), "f.yaml:6:26: more than 100000 values, what aliases repeat included");
  EXPECT_EQ(parse_error("[" + repeated("1,", 100'000) + "]"),
            "f.yaml:1:200000: more than 100000 values, what aliases repeat included");
  EXPECT_EQ(parse_error("a: &a [*a]\n"), "f.yaml:1:8: the alias stands inside what it repeats");
}

TEST(ConfigNode, FilesThatAreNoneAreNamed) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "attnlab_config_node";
  std::filesystem::create_directories(folder);
  const std::string missing = (folder / "missing.yaml").string();
  EXPECT_EQ(error_of([&] { (void)parse_file(missing); }), missing + ": no such file");
  EXPECT_EQ(error_of([&] { (void)parse_file(folder); }), folder.string() + ": is a folder; name a YAML file");
  const std::string large = (folder / "large.yaml").string();
  std::ofstream(large) << repeated("# ten bytes\n", 1'000'000);
  EXPECT_EQ(error_of([&] { (void)parse_file(large); }), large + ": is larger than 1 MB; include: takes it in pieces");
  const std::string good = (folder / "good.yaml").string();
  std::ofstream(good) << "a: 1\n";
  EXPECT_EQ(parse_file(good).find("a")->mark().text(), good + ":1:4");
  std::filesystem::remove_all(folder);
}

TEST(ConfigScalars, TheCoreSchemaDecidesWhatAScalarIs) {
  EXPECT_EQ(json_of("[1, -2, +3, 010, 0o17, 0xfF]"), "[1,-2,3,10,15,255]");
  EXPECT_EQ(json_of("[1.5, 1e-5, -.5, 2., 1E+3]"), "[1.5,1e-05,-0.5,2.0,1000.0]");
  EXPECT_EQ(json_of("[true, False, null, ~, Null]"), "[true,false,null,null,null]");
  EXPECT_EQ(json_of("['1', \"true\", yes, 1_000, 1k, e5, ., 0x, '', q512]"),
            R"(["1","true","yes","1_000","1k","e5",".","0x","","q512"])");
  EXPECT_EQ(json_of("[9223372036854775807, 18446744073709551615, -9223372036854775808]"),
            "[9223372036854775807,18446744073709551615,-9223372036854775808]");
  EXPECT_EQ(json_of("[18446744073709551616]"), "[1.8446744073709552e+19]");
}

TEST(ConfigScalars, NumbersThatJsonCannotHoldAreRefused) {
  for (const char* number : {".inf", "-.Inf", ".nan"})
    EXPECT_EQ(error_of([&] { (void)json_of(std::string("a: ") + number); }),
              std::string("f.yaml:1:4: expected a finite number, got ") + number);
  EXPECT_EQ(error_of([] { (void)json_of("a: 1e999"); }), "f.yaml:1:4: 1e999 does not fit in a double");
}

std::string reading(const std::string& text, const auto& read) {
  ProblemList problems;
  read(parse_text(text, "f.yaml"), problems);
  return error_of([&] { problems.throw_if_any(); });
}

TEST(ConfigScalars, ReadersSayWhatTheyExpectAndWhatTheyGot) {
  const auto integer = [](const Node& node, ProblemList& problems) { as_integer(node, "threads", problems, 1, 64); };
  EXPECT_EQ(reading("8", integer), "no error");
  EXPECT_EQ(reading("65", integer), "f.yaml:1:1: threads: 65 is outside 1..64");
  EXPECT_EQ(reading("abc", integer), "f.yaml:1:1: threads: expected an integer, got text \"abc\"");
  EXPECT_EQ(reading("'8'", integer), "f.yaml:1:1: threads: expected an integer, got text \"8\"");
  EXPECT_EQ(reading("8.0", integer), "f.yaml:1:1: threads: expected an integer, got 8.0");
  EXPECT_EQ(reading("[8]", integer), "f.yaml:1:1: threads: expected an integer, got a list");
  EXPECT_EQ(reading("{a: 8}", integer), "f.yaml:1:1: threads: expected an integer, got a map");
  EXPECT_EQ(reading("99999999999999999999", integer),
            "f.yaml:1:1: threads: 99999999999999999999 does not fit in 64 bits");
  const auto real = [](const Node& node, ProblemList& problems) { as_real(node, "theta", problems, 0); };
  EXPECT_EQ(reading("3", real), "no error");
  EXPECT_EQ(reading("-1.5", real), "f.yaml:1:1: theta: -1.5 is less than 0");
  EXPECT_EQ(reading(".inf", real), "f.yaml:1:1: theta: expected a finite number, got .inf");
  EXPECT_EQ(reading("true", real), "f.yaml:1:1: theta: expected a number, got true");
  const auto boolean = [](const Node& node, ProblemList& problems) { as_bool(node, "tied", problems); };
  EXPECT_EQ(reading("yes", boolean), "f.yaml:1:1: tied: expected true or false, got text \"yes\"");
  const auto text = [](const Node& node, ProblemList& problems) { as_text(node, "name", problems); };
  EXPECT_EQ(reading("2024", text), "f.yaml:1:1: name: expected text, got 2024; put it in quotes");
  EXPECT_EQ(reading("[a]", text), "f.yaml:1:1: name: expected text, got a list");
  const auto counts = [](const Node& node, ProblemList& problems) { as_integers(node, "prompt", problems, 1, 9); };
  EXPECT_EQ(reading("[1, 9]", counts), "no error");
  EXPECT_EQ(reading("[1, 0, x]", counts),
            "f.yaml:1:5: prompt: 0 is outside 1..9\nf.yaml:1:8: prompt: expected an integer, got text \"x\"");
  EXPECT_EQ(reading("[]", counts), "f.yaml:1:1: prompt: the list is empty");
  const auto texts = [](const Node& node, ProblemList& problems) { as_texts(node, "tags", problems); };
  EXPECT_EQ(reading("x", texts), "f.yaml:1:1: tags: expected a list of texts, got text \"x\"");
}

TEST(ConfigScalars, BoundsThatNothingReachesAreNotNamed) {
  EXPECT_EQ(bounds_fault(std::int64_t{0}, 1, 9.3e18), "0 is less than 1");
  EXPECT_EQ(bounds_fault(std::int64_t{7}, -kInfinity, 5), "7 is more than 5");
  EXPECT_EQ(bounds_fault(std::int64_t{8192}, 1, 4096), "8192 is outside 1..4096");
  EXPECT_EQ(bounds_fault(kMaxInteger, 1, 0x1p63), "");
  EXPECT_EQ(bounds_fault(0.5, 1, kInfinity), "0.5 is less than 1");
}

TEST(ConfigMapReader, UnknownAndMissingKeysAreReportedInTheOrderOfTheFile) {
  const KeyTable keys = {{.name = "budget", .type = KeyType::form, .required = true},
                         {.name = "window", .type = KeyType::integer, .min = 1, .max = 8}};
  const auto read = [&](const Node& node, ProblemList& problems) {
    MapReader reader(node, "the cache", keys, problems);
    (void)reader.integer("window");
    reader.finish();
  };
  EXPECT_EQ(reading("budget: 1\nwindow: 2\n", read), "no error");
  EXPECT_EQ(reading("zzz: 1\nwindw: 2\n", read),
            "f.yaml:1:1: the key \"budget\" of the cache is missing\n"
            "f.yaml:1:1: unknown key \"zzz\" of the cache; known keys: budget, window\n"
            "f.yaml:2:1: unknown key \"windw\" of the cache; did you mean \"window\"?");
  EXPECT_EQ(reading("[1]", read), "f.yaml:1:1: the cache: expected a map, got a list");
  EXPECT_EQ(reading("{budget: 1, window: 9}", read), "f.yaml:1:21: window: 9 is outside 1..8");
  EXPECT_EQ(reading("{budget: 1, window:4: 1}", read),
            "f.yaml:1:13: unknown key \"window:4\" of the cache; write a blank after the colon: \"window: 4\"");
}

TEST(ConfigProblemList, RemediesStayShort) {
  EXPECT_EQ(name_remedy("gqaa", {"mha", "gqa"}, "names"), "did you mean \"gqa\"?");
  EXPECT_EQ(name_remedy("zzzzz", {"mha", "gqa"}, "names"), "known names: mha, gqa");
  EXPECT_EQ(name_remedy("x", {}, "names"), "");
  EXPECT_EQ(in_quotes(repeated("\xc3\xa9", 100)).size(), 2 + 100 + 3U);
}

PluginChoice choice_of(const std::string& text) {
  ProblemList problems;
  auto choice = read_choice(parse_argument(text, "--attention"), "attention", problems);
  problems.throw_if_any();
  return std::move(choice).value();
}
std::string choice_error(const std::string& text) {
  return error_of([&] { (void)choice_of(text); });
}

TEST(ConfigPluginChoice, ThreeSpellingsNameAComponent) {
  const PluginChoice bare = choice_of("gqa");
  EXPECT_EQ(bare.id, "gqa");
  EXPECT_TRUE(bare.options.is_null());
  EXPECT_EQ(bare.where.text(), "--attention");
  const PluginChoice full = choice_of("{gqa: {kv_heads: 2}}");
  EXPECT_EQ(full.id, "gqa");
  EXPECT_EQ(full.options.find("kv_heads")->text(), "2");
  EXPECT_TRUE(choice_of("gqa:").options.is_null());
}

TEST(ConfigPluginChoice, OtherSpellingsAreExplained) {
  const std::string remedy = "; write NAME or {NAME: {OPTION: VALUE}}";
  EXPECT_EQ(choice_error(""), "--attention: attention: expected a name, got nothing" + remedy);
  EXPECT_EQ(choice_error("{}"), "--attention: attention: expected a name, got an empty map" + remedy);
  EXPECT_EQ(choice_error("[gqa]"), "--attention: attention: expected a name, got a list" + remedy);
  EXPECT_EQ(choice_error("{gqa: 4}"), "--attention: options of \"gqa\": expected a map, got 4" + remedy);
  EXPECT_EQ(choice_error("{gqa: {}, kv_heads: 2}"),
            "--attention: attention: \"kv_heads\" stands beside \"gqa\", expected one name" + remedy);
  EXPECT_EQ(choice_error("{gqa: "), "--attention: not valid YAML: this { is not closed");
}

std::string with(const std::string& override_text) {
  return to_json(with_override(parse_text("a: {b: 1}\nl: [x, {y: 1}]\nn:\n", "f.yaml"), override_text)).dump();
}

TEST(ConfigSetOverride, ReplacesAndMakesValues) {
  EXPECT_EQ(with("a.b=2"), R"({"a":{"b":2},"l":["x",{"y":1}],"n":null})");
  EXPECT_EQ(with("a=[1, z]"), R"({"a":[1,"z"],"l":["x",{"y":1}],"n":null})");
  EXPECT_EQ(with("l.1.y={gqa: {kv_heads: 2}}"), R"({"a":{"b":1},"l":["x",{"y":{"gqa":{"kv_heads":2}}}],"n":null})");
  EXPECT_EQ(with("n.p.q=1"), R"({"a":{"b":1},"l":["x",{"y":1}],"n":{"p":{"q":1}}})");
  EXPECT_EQ(with("a.b="), R"({"a":{"b":null},"l":["x",{"y":1}],"n":null})");
  EXPECT_EQ(with("a.b=x=y"), R"({"a":{"b":"x=y"},"l":["x",{"y":1}],"n":null})");
}

TEST(ConfigSetOverride, NamesTheOverrideInEveryMessage) {
  const auto error = [](const std::string& text) { return error_of([&] { (void)with(text); }); };
  EXPECT_EQ(error("a.b"), "--set a.b: is no override; write KEY.KEY=VALUE");
  EXPECT_EQ(error("=1"), "--set =1: is no override; write KEY.KEY=VALUE");
  EXPECT_EQ(error("a..b=1"), "--set a..b=1: an empty key; write KEY.KEY=VALUE");
  EXPECT_EQ(error("l.2=1"), "--set l.2=1: \"l\" is a list, and \"2\" is no index of it; write 0..1");
  EXPECT_EQ(error("l.x=1"), "--set l.x=1: \"l\" is a list, and \"x\" is no index of it; write 0..1");
  EXPECT_EQ(error("l.-1=1"), "--set l.-1=1: \"l\" is a list, and \"-1\" is no index of it; write 0..1");
  EXPECT_EQ(error("a.b.c=1"), "--set a.b.c=1: \"b\" is 1 and has no key \"c\"");
  EXPECT_EQ(error("a=[1"), "--set a=[1: not valid YAML: this [ is not closed");
  EXPECT_EQ(error(repeated("x.", 64) + "x=1").substr(0, 8), "--set x.");
  ProblemList problems;
  as_integer(*with_override(parse_text("a: 1\n", "f.yaml"), "a=b").find("a"), "a", problems);
  EXPECT_EQ(problems.sorted().front().text(), "--set a=b: a: expected an integer, got text \"b\"");
}

TEST(ConfigYamlWriter, WritesBlocksThatPeopleRead) {
  const auto value = nlohmann::ordered_json::parse(
      R"({"name": "kv-heads", "repeats": 7, "arms": [{"name": "gqa(kv_heads=4)/rope/full", "tags": []}],
          "batch": ["q512", "8q1s1k"], "empty": {}, "theta": 10000.0, "on": "true", "none": null})");
  EXPECT_EQ(to_yaml(value),
            "name: kv-heads\nrepeats: 7\narms:\n  - name: gqa(kv_heads=4)/rope/full\n    tags: []\n"
            "batch: [q512, 8q1s1k]\nempty: {}\ntheta: 10000.0\non: \"true\"\nnone: null\n");
}

TEST(ConfigYamlWriter, WhatIsWrittenParsesBack) {
  auto value = nlohmann::ordered_json::object();
  for (const char* text : {"",
                           " ",
                           "x ",
                           " x",
                           "12",
                           "-",
                           "- a",
                           "a: b",
                           "a #b",
                           "#",
                           "~",
                           "null",
                           "yes",
                           "1e5",
                           ".5",
                           "0x10",
                           "a\nb",
                           "\ttab",
                           "\"",
                           "'",
                           "{",
                           "]",
                           "*a",
                           "&a",
                           "!a",
                           "%a",
                           "@",
                           "`",
                           "a,b",
                           "\xc3\xa9",
                           "?",
                           "? a",
                           "---",
                           "...",
                           "--- a",
                           "<<",
                           "=",
                           "a:",
                           "2-",
                           "-4",
                           "every 4 from 3",
                           "\\n",
                           "\x01\x7f",
                           "a\rb",
                           "\xe2\x80\xa8",
                           "\xef\xbb\xbf",
                           "\xf0\x9f\x98\x80",
                           "C:\\x"}) {
    value[text] = text;
    value["list"].push_back(text);
  }
  value["numbers"] = {0, -1, 1.5, 1e-5, 1e300, 18446744073709551615U, std::numeric_limits<std::int64_t>::min()};
  value["deep"] = {{"a", {{{"b", {1, {2, 3}}}}}}};
  EXPECT_EQ(to_json(parse_text(to_yaml(value), "f.yaml")), value) << to_yaml(value);
}

}  // namespace
}  // namespace attnlab::config
