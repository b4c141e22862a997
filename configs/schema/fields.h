// Declaration of config fields. A config struct declares each field once, with its default, limit and help text:
//
//   struct AlsConfig {
//     int64_t factors = 64;
//     std::string path;
//
//     template <class Fields> void describe(Fields& field) {
//       field("factors", factors, between(1, 65536), "Latent dimensions of users and items.");
//       field.required("path", path, "Prepared file to read.");
//     }
//     void check() const;  // optional: require(...) for constraints between fields
//   };
//
// A field is a bool, int64_t, float, double, std::string, an enum with choices(), a struct with describe(), or an
// optional or a vector of these; the limit of an optional or a vector applies to its elements. A field may depend on
// earlier ones (if (algorithm == ...) field(...), or field.choice(...)); member.describe(field) adds the fields of a
// member without a prefix. Reading a config, writing run.yaml, --help-config and docs/config.md are all implemented
// with for_each_field.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/require.h"

namespace sartor {

// Allowed values of a number: low to high, inclusive. `open` excludes low.
struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool open = false;

  // Compares floats in single precision, so that 0.1f satisfies at_most(0.1).
  template <class T> constexpr bool holds(T value) const {
    using Bound = std::conditional_t<std::floating_point<T>, T, double>;
    const Bound x = value, least = low, most = high;
    return (open ? least < x : least <= x) && x <= most;
  }
};

constexpr Range between(double low, double high) { return {.low = low, .high = high}; }
constexpr Range at_least(double low) { return {.low = low}; }
constexpr Range at_most(double high) { return {.high = high}; }
constexpr Range above(double low) { return {.low = low, .open = true}; }

// Allowed values of a text; any text if `values` is empty. Prefer an enum if the values are known at compile time.
// A path may begin with ~ or ~USER for a home folder.
struct OneOf {
  std::vector<std::string_view> values;
  bool is_path = false;
};

OneOf one_of(std::convertible_to<std::string_view> auto... values) { return {.values = {values...}}; }
inline OneOf file_path() { return {.is_path = true}; }

struct NoLimit {};

// An enum can be a field if choices() is overloaded for it:
//   constexpr auto choices(Split) { return std::to_array<Choice<Split>>({{"random", Split::random}, ...}); }
template <class E> using Choice = std::pair<std::string_view, E>;

template <class T>
concept Enum = requires(T value) {
  choices(value);
};

template <Enum E> constexpr std::string_view name_of(E value) {
  for (const auto& [name, choice] : choices(value)) {
    if (choice == value) return name;
  }
  return "?";  // a bug: choices() lacks this value
}

// Which of an enum's choices a field takes; all if empty.
template <Enum E> struct Among { std::vector<E> values; };

template <Enum E> Among<E> among(std::initializer_list<E> values) { return {.values = values}; }

template <Enum E> std::vector<std::string_view> names_of(const Among<E>& limit) {
  std::vector<std::string_view> names;
  for (const auto& [name, choice] : choices(E{})) {
    if (limit.values.empty() || std::ranges::find(limit.values, choice) != limit.values.end()) names.push_back(name);
  }
  return names;
}

// The value of that name, which is one of choices().
template <Enum E> E value_of(std::string_view name) {
  for (const auto& [each, choice] : choices(E{})) {
    if (each == name) return choice;
  }
  return {};
}

namespace detail {

struct AnyFields {
  void operator()(auto&&...) {}
  void required(auto&&...) {}
  void choice(auto&&...) {}
};

template <class T> struct Content : std::type_identity<T> {};
template <class T> struct Content<std::optional<T>> : Content<T> {};
template <class T> struct Content<std::vector<T>> : Content<T> {};

template <class T> struct Limit : std::type_identity<NoLimit> {};
template <> struct Limit<int64_t> : std::type_identity<Range> {};
template <> struct Limit<float> : std::type_identity<Range> {};
template <> struct Limit<double> : std::type_identity<Range> {};
template <> struct Limit<std::string> : std::type_identity<OneOf> {};
template <Enum E> struct Limit<E> : std::type_identity<Among<E>> {};

template <class T, class... Types> constexpr bool is_any_of = (std::same_as<T, Types> || ...);
template <class T> constexpr bool is_optional = false;
template <class T> constexpr bool is_optional<std::optional<T>> = true;
template <class T> constexpr bool is_list = false;
template <class T> constexpr bool is_list<std::vector<T>> = true;

}  // namespace detail

// Types of fields: scalars, sections (structs with fields of their own), and optionals and lists of these.
template <class T>
concept Section = requires(T config, detail::AnyFields& field) {
  config.describe(field);
};
template <class T>
concept Scalar = Enum<T> || detail::is_any_of<T, bool, int64_t, float, double, std::string>;
template <class T>
concept Optional = detail::is_optional<T>;
template <class T>
concept List = detail::is_list<T>;

template <class T> using Held = typename detail::Content<T>::type;  // int64_t for optional<vector<int64_t>>
template <class T> using LimitOf = typename detail::Limit<Held<T>>::type;

template <class T>
concept FieldType = Scalar<Held<T>> || Section<Held<T>>;

// Declaration of a field, without its value.
template <class T> struct Field {
  std::string_view name;
  std::string_view help;
  LimitOf<T> limit;
  bool required;
};

// Argument of describe(): passes every declared field to visit(const Field<T>&, T&).
template <class Visit> class Fields {
 public:
  explicit Fields(Visit& visit) : visit_(visit) {}

  template <FieldType T> void operator()(std::string_view name, T& value, std::string_view help) {
    visit_(Field<T>{name, help, {}, false}, value);
  }
  template <FieldType T> void operator()(std::string_view name, T& value, LimitOf<T> limit, std::string_view help) {
    visit_(Field<T>{name, help, std::move(limit), false}, value);
  }
  template <FieldType T> void required(std::string_view name, T& value, std::string_view help) {
    visit_(Field<T>{name, help, {}, true}, value);
  }
  template <FieldType T> void required(std::string_view name, T& value, LimitOf<T> limit, std::string_view help) {
    visit_(Field<T>{name, help, std::move(limit), true}, value);
  }
  // A field that decides which others follow: describe_case(value) describes them. Help has those of all its choices.
  template <Enum E, class DescribeCase>
  void choice(std::string_view name, E& value, std::string_view help, const DescribeCase& describe_case) {
    (*this)(name, value, help);
    if constexpr (requires { visit_.begin_case(name); }) {
      for (const auto& [case_name, each] : choices(value)) {
        visit_.begin_case(case_name);
        describe_case(each);
      }
      visit_.begin_case("");
    } else {
      describe_case(value);
    }
  }

 private:
  Visit& visit_;
};

// Calls visit(const Field<T>&, T&) for every field, in the order of describe().
template <Section Config, class Visit> void for_each_field(Config& config, Visit visit) {
  Fields<Visit> fields(visit);
  config.describe(fields);
}

}  // namespace sartor
