// parse_file, parse_text and parse_argument: yaml-cpp's events become Nodes. The events and not its own node tree,
// because that tree recurses without limit, keeps duplicate keys and knows no budget for what aliases expand to.
#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <system_error>
#include <unordered_map>
#include <utility>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <attnlab/error.h>
#include <fmt/format.h>

#include "config/node.h"
#include "config/problem_list.h"
#include "config/utf8.h"

namespace attnlab::config {
namespace {

/// How yaml-cpp's positions become marks.
struct Marker {
  std::string name;
  bool with_lines = true;

  Mark at(int line, int column) const { return with_lines ? Mark{name, line + 1, column + 1} : Mark{name, 0, 0}; }
  Mark operator()(const YAML::Mark& mark) const { return mark.is_null() ? at(0, 0) : at(mark.line, mark.column); }
};

class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(Marker marker, std::string_view text) : marker_(std::move(marker)), text_(text) {}

  [[nodiscard]] Node take_root() { return std::move(root_); }
  /// The innermost map or sequence that is open, the last key or value: where a fault that shows later began.
  [[nodiscard]] Mark open_mark() const { return frames_.empty() ? marker_.at(0, 0) : frames_.back().mark; }
  [[nodiscard]] Mark last_mark() const { return last_mark_; }
  [[nodiscard]] const ProblemList& duplicates() const { return duplicates_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ == 0) return;
    // yaml-cpp takes "- a" and "b: 1" below it for two documents.
    const std::size_t start = std::min(static_cast<std::size_t>(std::max(mark.pos, 0)), text_.size());
    if (text_.substr(start).starts_with("---"))
      throw Error(marker_(mark).text(), "a second document begins here", "one file, one document");
    throw Error(marker_(mark).text(), "not valid YAML: this does not belong to what stands before it",
                "keys and list items do not mix");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    // yaml-cpp marks a value that is missing where the next token stands, which may be lines away from its key.
    Mark place = marker_(mark);
    if (wants_value() && place.line != frames_.back().key_mark.line) place = frames_.back().key_mark;
    add(Built{Node::null(std::move(place)), 0, 1}, anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    const bool is_text = tag == "!" || tag == "tag:yaml.org,2002:str";
    if (!is_text && tag != "?" && !tag.empty()) refuse_tag(mark, tag);
    add(Built{Node::scalar(marker_(mark), value, is_text), 0, 1}, anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) throw Error(marker_(mark).text(), "the alias stands inside what it repeats");
    spend(found->second.nodes, marker_(mark));
    check_depth(found->second.height, marker_(mark));
    add_value(Built(found->second), marker_(mark));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Node::Kind::sequence, "tag:yaml.org,2002:seq");
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Node::Kind::map, "tag:yaml.org,2002:map");
  }
  void OnMapEnd() override { close(); }

 private:
  struct Built {
    Node node;
    int height = 0;         // levels of maps and sequences, itself included
    std::size_t nodes = 1;  // itself included
  };
  struct Frame {
    Node::Kind kind = Node::Kind::map;
    Mark mark;
    YAML::anchor_t anchor = 0;
    int height = 1;
    std::size_t nodes = 1;
    std::vector<Node> items;
    std::vector<Node::Entry> entries;
    std::vector<Node> merged;                           // maps after `<<`, those that win first
    std::unordered_map<std::string, std::size_t> keys;  // to the place among the entries
    bool has_key = false;
    bool key_is_merge = false;
    std::string key;
    Mark key_mark;
  };

  [[nodiscard]] bool wants_value() const {
    return !frames_.empty() && frames_.back().kind == Node::Kind::map && frames_.back().has_key;
  }

  // One budget for what is built, what anchors keep and what aliases copy: copies cost like originals.
  void spend(std::size_t nodes, const Mark& mark) {
    spent_ += nodes;
    if (spent_ > kMaxNodes)
      throw Error(mark.text(), fmt::format("more than {} values, what aliases repeat included", kMaxNodes));
  }

  void check_depth(int height, const Mark& mark) const {
    if (static_cast<int>(frames_.size()) + height > kMaxDepth)
      throw Error(mark.text(), fmt::format("nested deeper than {} levels", kMaxDepth));
  }

  [[noreturn]] void refuse_tag(const YAML::Mark& mark, const std::string& tag) const {
    throw Error(marker_(mark).text(), fmt::format("the tag {} is not known", in_quotes(tag)), "leave it out");
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Node::Kind kind,
            std::string_view own_tag) {
    if (!tag.empty() && tag != "?" && tag != "!" && tag != own_tag) refuse_tag(mark, tag);
    check_depth(1, marker_(mark));
    spend(1, marker_(mark));
    Frame frame;
    frame.kind = kind;
    frame.mark = marker_(mark);
    frame.anchor = anchor;
    frames_.push_back(std::move(frame));
  }

  void close() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    if (frame.kind == Node::Kind::map) merge(frame);
    Built built{frame.kind == Node::Kind::map ? Node::map(std::move(frame.mark), std::move(frame.entries))
                                              : Node::sequence(std::move(frame.mark), std::move(frame.items)),
                frame.height, frame.nodes};
    keep(built, frame.anchor);
    const Mark mark = built.node.mark();
    add_value(std::move(built), mark);
  }

  static void merge(Frame& frame) {
    for (Node& map : frame.merged)
      for (const Node::Entry& entry : map.entries())
        if (frame.keys.emplace(entry.key, frame.entries.size()).second) frame.entries.push_back(entry);
  }

  // A scalar or a null, which may be a key.
  void add(Built built, YAML::anchor_t anchor) {
    const Mark mark = built.node.mark();
    spend(1, mark);
    keep(built, anchor);
    add_value(std::move(built), mark);
  }

  void keep(const Built& built, YAML::anchor_t anchor) {
    if (anchor == 0) return;
    spend(built.nodes, built.node.mark());
    anchors_.emplace(anchor, built);
  }

  // `mark` is where it stands: of an alias, not what it repeats.
  void add_value(Built built, const Mark& mark) {
    last_mark_ = mark;
    if (frames_.empty()) {
      root_ = std::move(built.node);
      return;
    }
    Frame& frame = frames_.back();
    if (frame.kind == Node::Kind::map && !frame.has_key) return take_key(frame, built.node, mark);
    frame.height = std::max(frame.height, built.height + 1);
    frame.nodes += built.nodes;
    if (frame.kind == Node::Kind::sequence) {
      frame.items.push_back(std::move(built.node));
      return;
    }
    frame.has_key = false;
    if (frame.key_is_merge) return take_merged(frame, std::move(built.node), mark);
    const auto [known, is_new] = frame.keys.emplace(frame.key, frame.entries.size());
    if (is_new) {
      frame.entries.push_back({std::move(frame.key), std::move(frame.key_mark), std::move(built.node)});
    } else {
      duplicates_.add(frame.key_mark, fmt::format("the key {} stands here a second time", in_quotes(frame.key)),
                      fmt::format("the first is at {}", frame.entries[known->second].key_mark.text()));
    }
  }

  [[noreturn]] static void refuse_key(const Mark& mark) { throw Error(mark.text(), "a key must be plain text"); }

  static void take_key(Frame& frame, const Node& key, const Mark& mark) {
    if (!key.is_scalar()) refuse_key(mark);
    frame.has_key = true;
    frame.key = key.text();
    frame.key_mark = mark;
    frame.key_is_merge = key.text() == "<<" && !key.quoted();
  }

  static void take_merged(Frame& frame, Node value, const Mark& mark) {
    if (value.is_map()) {
      frame.merged.push_back(std::move(value));
      return;
    }
    if (!value.is_sequence()) throw Error(mark.text(), "<< takes a map or a list of maps");
    for (const Node& item : value.items()) {
      if (!item.is_map()) throw Error(item.mark().text(), "<< takes a map or a list of maps");
      frame.merged.push_back(item);
    }
  }

  Marker marker_;
  std::string_view text_;
  Mark last_mark_ = marker_.at(0, 0);
  Node root_;
  std::vector<Frame> frames_;
  std::map<YAML::anchor_t, Built> anchors_;  // of nodes that are complete
  ProblemList duplicates_;
  std::size_t spent_ = 0;
  int documents_ = 0;
};

// yaml-cpp reports a tab in the indentation as an error in the words after it, on this line or a later one.
void refuse_tab(std::string_view text, int last_line, const Marker& marker) {
  int line = 0;
  for (std::size_t start = 0; start < text.size() && line <= last_line; ++line) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    const std::size_t word = std::min(text.find_first_not_of(" \t\r", start), end);
    const std::size_t tab = text.find('\t', start);
    if (tab < word && word < end && text[word] != '#')
      throw Error(marker.at(line, static_cast<int>(tab - start)).text(), "a tab in the indentation",
                  "indent with spaces");
    start = end + 1;
  }
}

// Syntax errors in words that do not assume knowledge of YAML's terms, such as flow sequence.
Problem syntax_problem(const YAML::Exception& error, const TreeBuilder& builder, const Marker& marker, int last_line) {
  const std::string_view message = error.msg;
  const std::string where = marker(error.mark).text();
  const bool at_end = error.mark.line >= last_line;
  const bool in_list = message == YAML::ErrorMsg::END_OF_SEQ_FLOW;
  if (in_list || message == YAML::ErrorMsg::END_OF_MAP_FLOW) {
    if (at_end)
      return {builder.open_mark().text(), fmt::format("not valid YAML: this {} is not closed", in_list ? "[" : "{"),
              ""};
    return {where, fmt::format("not valid YAML: expected , or {} here", in_list ? "]" : "}"),
            "a blank belongs after each colon"};
  }
  if (at_end && message == YAML::ErrorMsg::DOC_IN_SCALAR)
    return {builder.last_mark().text(), "not valid YAML: a quote that is opened after this is not closed", ""};
  std::string remedy;
  if (message == YAML::ErrorMsg::MAP_VALUE) remedy = "a text that holds \": \" belongs in quotes";
  if (message == YAML::ErrorMsg::UNKNOWN_TOKEN) remedy = "a text that begins with this character belongs in quotes";
  if (message == YAML::ErrorMsg::END_OF_MAP || message == YAML::ErrorMsg::END_OF_SEQ) {
    return {where, "not valid YAML: this line belongs neither to the block above it nor to one further out",
            "check its indentation"};
  }
  return {where, fmt::format("not valid YAML: {}", message), remedy};
}

Node parse(std::string_view text, const Marker& marker) {
  if (text.size() > kMaxBytes)
    throw Error(marker.name, fmt::format("is larger than {} MB", kMaxBytes / 1'000'000), "include: takes it in pieces");
  if (const auto fault = find_fault(text)) throw Error(marker.at(fault->line, fault->column).text(), fault->what);
  // yaml-cpp lets a quote run to the end of the file; the mark of a document's end inside one is an error.
  std::string closed(text);
  if (!closed.ends_with('\n')) closed += '\n';
  const auto last_line = static_cast<int>(std::ranges::count(closed, '\n'));
  std::istringstream stream{closed + "...\n"};
  TreeBuilder builder(marker, text);
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    refuse_tab(text, error.mark.line, marker);
    throw Error(syntax_problem(error, builder, marker, last_line));
  }
  builder.duplicates().throw_if_any();
  Node root = builder.take_root();
  if (root.is_null() && marker.with_lines) throw Error(marker.name, "there is no YAML in it");
  return root.is_null() ? Node::null(marker.at(0, 0)) : root;
}

}  // namespace

std::string text_of_file(const std::filesystem::path& path) {
  const std::string name = path.string();
  std::error_code failure;
  const auto status = std::filesystem::status(path, failure);
  if (status.type() == std::filesystem::file_type::not_found) throw Error(name, "no such file");
  if (std::filesystem::is_directory(status)) throw Error(name, "is a folder", "name a YAML file");
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(name, "cannot be opened");
  std::string text(kMaxBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) throw Error(name, "cannot be read");
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

Node parse_file(const std::filesystem::path& path) {
  return parse_text(text_of_file(path), path.string());
}

Node parse_text(std::string_view text, const std::string& name) {
  return parse(text, {name, true});
}

Node parse_argument(std::string_view text, const std::string& name) {
  return parse(text, {name, false});
}

}  // namespace attnlab::config
