#include "models/hf/json.h"

#include <algorithm>
#include <exception>
#include <fstream>
#include <iterator>
#include <utility>
#include <vector>

#include "base/require.h"

namespace sartor::hf {
namespace {

// Builds the document while parsing and stops as soon as a limit is exceeded.
class Builder : public nlohmann::json_sax<Json> {
 public:
  Builder(const std::string& source, const JsonLimits& limits) : source_(source), limits_(limits) {}

  Json take() { return std::move(root_); }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(int64_t value) override { return add(value); }
  bool number_unsigned(uint64_t value) override { return add(value); }
  bool number_float(double value, const std::string&) override { return add(value); }
  bool string(std::string& value) override { return add(std::move(value)); }
  bool binary(Json::binary_t&) override { return false; }  // not possible in text
  bool key(std::string& name) override {
    Json& object = *open_.back();
    require(!object.contains(name), "{}: duplicate key \"{}\" in an object", source_, name);
    key_ = std::move(name);
    return true;
  }
  bool start_object(size_t) override { return open(Json::object()); }
  bool start_array(size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception& fault) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error ..."
    std::string_view what = fault.what();
    if (const auto end = what.find("] "); end != what.npos) what.remove_prefix(end + 2);
    require(false, "{}: invalid JSON at byte {}: {}", source_, position, what);
    return false;
  }

 private:
  Json* add(Json value, bool) {
    require(++values_ <= limits_.values, "{}: more than {} values in one JSON document", source_, limits_.values);
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Json& parent = *open_.back();
    if (!parent.is_array()) return &(parent[std::exchange(key_, {})] = std::move(value));
    parent.push_back(std::move(value));
    return &parent.back();
  }
  bool add(Json value) { return add(std::move(value), true) != nullptr; }
  bool open(Json value) {
    require(std::ssize(open_) < limits_.depth, "{}: JSON nested deeper than {} levels", source_, limits_.depth);
    open_.push_back(add(std::move(value), true));  // pointers stay valid: only the innermost container grows
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  const std::string& source_;
  const JsonLimits limits_;
  Json root_;
  std::vector<Json*> open_;
  std::string key_;
  size_t values_ = 0;
};

}  // namespace

Json parse_json(std::string_view text, const std::string& source, const JsonLimits& limits) {
  require(text.size() <= limits.bytes, "{}: {} bytes of JSON, expected at most {}", source, text.size(), limits.bytes);
  Builder builder(source, limits);
  Json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

Json read_json(const std::filesystem::path& path, const JsonLimits& limits) {
  std::ifstream file(path, std::ios::binary);
  require(file.is_open(), "{}: cannot be opened", path.string());
  std::error_code fault;
  const auto size = std::filesystem::file_size(path, fault);
  require(!fault, "{}: {}", path.string(), fault.message());
  require(size <= limits.bytes, "{}: {} bytes of JSON, expected at most {}", path.string(), size, limits.bytes);
  std::string text(size, '\0');
  file.read(text.data(), static_cast<std::streamsize>(size));
  text.resize(static_cast<size_t>(file.gcount()));
  return parse_json(text, path.string(), limits);
}

std::string_view kind_of(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "null";
    case Json::value_t::object:
      return "an object";
    case Json::value_t::array:
      return "an array";
    case Json::value_t::string:
      return "a string";
    case Json::value_t::boolean:
      return "true or false";
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      return "an integer";
    case Json::value_t::number_float:
      return "a number";
    default:
      return "an invalid JSON value";
  }
}

}  // namespace sartor::hf
