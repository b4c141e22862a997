// parse_yaml: builds a tree of bounded size from yaml-cpp's events.
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <unordered_map>
#include <utility>

#include "base/require.h"
#include "base/utf8.h"
#include "schema/messages.h"
#include "schema/yaml.h"

namespace sartor {
namespace {

using Kind = YamlNode::Kind;
using Where = std::function<std::string(int line)>;

// Size of a node as limited by largest_yaml.
size_t size_of(const YamlNode& node) {
  size_t size = 16 + node.key.size() + node.scalar.size();
  for (const YamlNode& child : node.children) size += size_of(child);
  return size;
}

class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(const Where& where) : where_(where) {}

  YamlNode take_root() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    require(!std::exchange(started_, true), "{}: found a second document, expected one", at(mark));
  }
  void OnDocumentEnd() override {}
  void OnAnchor(const YAML::Mark&, const std::string&) override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { add(counted({.where = at(mark)}), anchor); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    refuse_tag(mark, tag);
    // yaml-cpp decodes these two escapes to a single byte, which is not UTF-8.
    require(valid_utf8(text) == text.size(), "{}: \\N or \\_ in quotes, expected \\x85 or \\xa0", at(mark));
    add(counted({.kind = Kind::scalar, .scalar = text, .quoted = tag == "!", .where = at(mark)}), anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto anchored = anchored_.find(anchor);
    require(anchored != anchored_.end(), "{}: an alias inside the value that it refers to", at(mark));
    YamlNode copy = counted(anchored->second);
    copy.where = at(mark);
    add(std::move(copy), 0);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    refuse_tag(mark, tag);
    open({.kind = Kind::list, .where = at(mark)}, anchor);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    refuse_tag(mark, tag);
    open({.kind = Kind::section, .where = at(mark)}, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    YamlNode node;
    YAML::anchor_t anchor;
    std::optional<YamlNode> key;  // in a section: a key whose value has not been read yet
  };

  std::string at(const YAML::Mark& mark) const { return where_(mark.line + 1); }

  // yaml-cpp's tags for plain and for quoted scalars are "?" and "!".
  void refuse_tag(const YAML::Mark& mark, const std::string& tag) const {
    require(tag.empty() || tag == "?" || tag == "!", "{}: tag {}, expected none", at(mark), shown(tag));
  }

  YamlNode counted(YamlNode node) {
    size_ += size_of(node);
    require(size_ <= largest_yaml, "{}: more than {} bytes with all aliases expanded", node.where, largest_yaml);
    return node;
  }

  void open(YamlNode node, YAML::anchor_t anchor) {
    require(open_.size() < deepest_yaml, "{}: more than {} levels", node.where, deepest_yaml);
    open_.push_back({counted(std::move(node)), anchor, {}});
  }

  void close() {
    Open closed = std::move(open_.back());
    open_.pop_back();
    refuse_twins(closed.node);
    add(std::move(closed.node), closed.anchor);
  }

  void refuse_twins(const YamlNode& node) const {
    if (node.kind != Kind::section) return;
    std::vector<const YamlNode*> by_key;
    for (const YamlNode& child : node.children) by_key.push_back(&child);
    std::ranges::stable_sort(by_key, {}, &YamlNode::key);
    const auto twin = std::ranges::adjacent_find(by_key, {}, &YamlNode::key);
    if (twin == by_key.end()) return;
    std::string path;
    for (const auto& [outer, anchor, key] : open_)
      path += (key ? shown(key->scalar) : std::to_string(outer.children.size())) + '.';
    require(false, "{}: {}{}: duplicate key, first at {}", twin[1]->where, path, shown(twin[1]->key), twin[0]->where);
  }

  // Adds a complete node as the root, the next list element, a section's next key, or the value of its last key.
  void add(YamlNode node, YAML::anchor_t anchor) {
    if (anchor != 0) anchored_[anchor] = counted(node);
    if (open_.empty()) {
      root_ = std::move(node);
    } else if (Open& parent = open_.back(); parent.node.kind == Kind::list) {
      parent.node.children.push_back(std::move(node));
    } else if (!parent.key) {
      require(node.kind == Kind::scalar, "{}: a key must be a text", node.where);
      parent.key = std::move(node);
    } else {
      node.key = std::move(parent.key->scalar);
      node.where = std::move(parent.key->where);
      parent.key.reset();
      parent.node.children.push_back(std::move(node));
    }
  }

  const Where& where_;
  YamlNode root_;
  std::vector<Open> open_;  // enclosing lists and sections, outermost first
  std::unordered_map<YAML::anchor_t, YamlNode> anchored_;
  size_t size_ = 0;
  bool started_ = false;
};

// Needed because yaml-cpp treats a control character as the end of the text and accepts invalid UTF-8.
void check_characters(std::string_view text, const Where& where) {
  const auto is_control = [](char c) { return 0 <= c && c < ' ' && c != '\t' && c != '\n' && c != '\r'; };
  const size_t valid = valid_utf8(text);
  const size_t bad = std::ranges::find_if(text.substr(0, valid), is_control) - text.begin();
  if (bad == text.size()) return;
  const std::string line = where(1 + std::ranges::count(text.substr(0, bad), '\n'));
  require(false, "{}: {} {:#04x}", line, bad < valid ? "control character" : "not UTF-8: byte",
          static_cast<uint8_t>(text[bad]));
}

}  // namespace

YamlNode parse_yaml(std::string_view text, const Where& where) {
  require(text.size() <= largest_yaml, "{}: more than {} bytes", where(1), largest_yaml);
  check_characters(text, where);
  // yaml-cpp reports an unclosed quote only before a document end marker, not at the end of the text.
  std::istringstream stream(std::string(text) + (text.ends_with('\n') ? "...\n" : "\n...\n"));
  TreeBuilder builder(where);
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    const auto lines = std::ranges::count(text.substr(0, text.size() - text.ends_with('\n')), '\n') + 1;
    const bool in_quotes = error.msg == YAML::ErrorMsg::DOC_IN_SCALAR;
    const std::string reason = quote(shortened(in_quotes ? "unclosed quote" : error.msg));  // may contain input
    require(false, "{}: not YAML: {}", where(std::min<int>(error.mark.line + 1, lines)),
            std::string_view(reason).substr(1, reason.size() - 2));
  }
  return builder.take_root();
}

}  // namespace sartor
