// A pass key in filler text, said twice and asked for at the end (Mohtashami and Jaggi 2023). The published text opens
// with an instruction and has filler of its own; here the text is filler of other tasks, without an instruction.
#include <memory>

#include <fmt/format.h>

#include "tasks/hidden_text.h"

namespace attnlab::tasks {
namespace {

struct PasskeyOptions {
  int length = 1024;
  int digits = 5;
  std::vector<double> depth;
  Haystack haystack = Haystack::repeat;

  static constexpr auto fields() {
    using P = PasskeyOptions;
    return std::tuple{
        field("length", &P::length, {.min = 16, .max = 1 << 20, .unit = "tokens", .doc = "An example."}),
        field("digits", &P::digits, {.min = 1, .max = 64, .doc = "Of the key; the first is not 0."}),
        field("depth", &P::depth,
              {.min = 0,
               .max = 1,
               .doc = "Places of the key, of which one is drawn: 0 begins the text, 1 ends it. Empty: anywhere."}),
        field("haystack", &P::haystack, {.doc = "Filler: a few sentences again and again, or those of the grammar."})};
  }
};

constexpr const char* kQuestion = "\nWhat is the pass key? The pass key is";

std::string sentence_of(const std::string& key) {
  return fmt::format(" The pass key is {}. Remember it. {} is the pass key.", key, key);
}

std::unique_ptr<Task> make_passkey(const PasskeyOptions& options, const TaskReading& reading) {
  const auto tokenizer = read_tokenizer(reading);
  if (tokenizer == nullptr) return nullptr;
  const auto texts = std::make_shared<const HiddenTexts>(options.length, options.haystack, options.depth, tokenizer);
  const int number = options.digits + 2;
  const int least = texts->tokens(sentence_of("")) + texts->tokens(kQuestion) + 3 * number + texts->least_filler();
  return made_of_texts(reading, "passkey", options.length, least, *tokenizer,
                       [texts, digits = options.digits](SplitMix64& draws, Example& to) {
                         const std::string key = draw_number(digits, draws);
                         texts->write({{sentence_of(key)}, kQuestion, " " + key}, draws, to);
                       });
}

const RegisteredTask kPasskey{task_kind<PasskeyOptions>({.name = "passkey",
                                                         .doc = "A number said twice in filler text, asked for at the "
                                                                "end.",
                                                         .paper = "Mohtashami and Jaggi 2023 (arXiv:2305.16300)",
                                                         .keys = {tokenizer_key(), examples_key()}},
                                                        make_passkey)};

}  // namespace
}  // namespace attnlab::tasks
