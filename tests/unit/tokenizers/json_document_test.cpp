// The fast reader of JSON is the strict one in all that can be seen: what it takes, what it refuses and with which
// words, and what it reads.
#include <gtest/gtest.h>

#include <random>
#include <string>

#include <attnlab/error.h>
#include <nlohmann/json.hpp>

#include "model/checkpoints/json_document.h"
#include "model/checkpoints/strict_json.h"

namespace attnlab::model {
namespace {

using nlohmann::json;

json tree_of(JsonValue value) {
  switch (value.kind()) {
    case JsonKind::null:
      return nullptr;
    case JsonKind::boolean:
      return value.boolean();
    case JsonKind::integer:
      return value.integer();
    case JsonKind::large_integer:
      return value.large_integer();
    case JsonKind::real:
      return value.real();
    case JsonKind::string:
      return std::string(value.text());
    case JsonKind::list: {
      json list = json::array();
      for (const JsonValue item : value.values()) list.push_back(tree_of(item));
      EXPECT_EQ(list.size(), value.size());
      return list;
    }
    case JsonKind::object: {
      json object = json::object();
      for (const JsonValue::Entry entry : value.entries()) {
        object[std::string(entry.key)] = tree_of(entry.value());
        const auto found = value.find(entry.key);
        EXPECT_TRUE(found && tree_of(*found) == tree_of(entry.value())) << entry.key;
      }
      EXPECT_EQ(object.size(), value.size());
      return object;
    }
  }
  return {};
}

// What a reader makes of the text: the tree, or its error.
template <class Read>
std::string outcome_of(const Read& read) {
  try {
    return read().dump(-1, ' ', false, json::error_handler_t::replace);
  } catch (const Error& error) {
    return std::string("error: ") + error.what();
  }
}

void expect_as_the_strict_reader(const std::string& text) {
  EXPECT_EQ(outcome_of([&] { return tree_of(JsonDocument(text, "f.json").root()); }),
            outcome_of([&] { return parse_strict_json(text, "f.json"); }))
      << text.substr(0, 200);
}

std::string nested(int levels, const std::string& inside) {
  return std::string(static_cast<std::size_t>(levels), '[') + inside +
         std::string(static_cast<std::size_t>(levels), ']');
}

TEST(JsonDocument, ReadsWhatTheStrictReaderReads) {
  for (const char* text : {"null",
                           "true",
                           " false ",
                           "0",
                           "-0",
                           "-1",
                           "9223372036854775807",
                           "9223372036854775808",
                           "18446744073709551615",
                           "18446744073709551616",
                           "1000000000000000019884624838656",
                           "-9223372036854775808",
                           "-9223372036854775809",
                           "1.5",
                           "1e3",
                           "-0.0",
                           "1E+2",
                           "\"\"",
                           "\"a\\u0000b\"",
                           "\"\\ud83d\\ude00 \\u00e4 \\n\"",
                           "[]",
                           "{}",
                           "[1,[2,[]],{}]",
                           "{\"b\":1,\"a\":{\"b\":[true,null]}}",
                           "\xEF\xBB\xBF{\"a\":1}",
                           "\t\r\n[ 1 , 2 ]\n",
                           "[1000000000000000019884624838656, {\"long\": [\"x\", 2]}]"})
    expect_as_the_strict_reader(text);
  EXPECT_EQ(tree_of(JsonDocument(R"({"a":[1,{"b":"c"}],"d":-2.5})", "f").root()),
            json::parse(R"({"a":[1,{"b":"c"}],"d":-2.5})"));
}

TEST(JsonDocument, RefusesInTheWordsOfTheStrictReader) {
  for (const char* text : {"",
                           " ",
                           "nul",
                           "[1,]",
                           "[1 2]",
                           "{\"a\"}",
                           "{\"a\":1,}",
                           "{a:1}",
                           "01",
                           "1.",
                           ".5",
                           "+1",
                           "1e",
                           "1e400",
                           "-",
                           "\"a",
                           "\"\t\"",
                           "\"\\x\"",
                           "\"\\u12\"",
                           "\"\\ud800\"",
                           "\"\\udc00\"",
                           "\"\\ud800\\u0041\"",
                           "\"\xff\"",
                           "\"\xc0\x80\"",
                           "\"\xed\xa0\x80\"",
                           "[1]]",
                           "[1] 2",
                           "{\"a\":1,\"a\":2}",
                           "{\"x\":{\"a\":1,\"\\u0061\":2}}",
                           "'a'",
                           "// c\n1",
                           "NaN",
                           "Infinity",
                           "[1,\n\n  oops]"})
    expect_as_the_strict_reader(text);
  expect_as_the_strict_reader(std::string("[1]\0", 4));
  expect_as_the_strict_reader(std::string("\"a\0b\"", 5));
  EXPECT_EQ(outcome_of([] { return tree_of(JsonDocument("{\"a\":1,\n\"a\":2}", "f").root()); }),
            "error: f: the key \"a\" occurs twice; keep one of the two");
}

TEST(JsonDocument, NestsAsDeepAsTheStrictReader) {
  for (int levels = 55; levels <= 70; ++levels)
    for (const char* inside : {"", "1", "{\"a\":1}"}) expect_as_the_strict_reader(nested(levels, inside));
}

TEST(JsonDocument, FindsAKeyThatOccursTwiceAmongThousands) {
  json object;
  for (int i = 0; i < 5000; ++i) object["key" + std::to_string(i)] = i;
  std::string text = object.dump();
  expect_as_the_strict_reader(text);
  text.back() = ',';
  expect_as_the_strict_reader(text + "\"key4711\":0}");
  expect_as_the_strict_reader(text + "\"key5000\":0}");
}

// One byte of a good text replaced, at random: most of these are errors, at every place of the grammar.
TEST(JsonDocument, AgreesOnDamagedTexts) {
  const std::string good = R"({"version":"1.0","model":{"vocab":{"a":0,"\u00e4\n":1,"b c":-2},)"
                           R"("merges":["a b",["c","d"]],"x":[1.5e3,true,null]}})";
  const std::string bytes = std::string("{}[],:\"\\0159-+.eEu \n\t\x01\x80\xc3\xff") + "abtrufn";
  std::mt19937 random(5);
  for (int i = 0; i < 3000; ++i) {
    std::string text = good;
    text[random() % text.size()] = bytes[random() % bytes.size()];
    expect_as_the_strict_reader(text);
  }
}

}  // namespace
}  // namespace attnlab::model
