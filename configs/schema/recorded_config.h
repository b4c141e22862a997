// The config of a run or job as it is recorded, for comparison under --resume.
#pragma once

#include <concepts>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>

#include "schema/config.h"

namespace sartor {

class RecordedConfig {
 public:
  RecordedConfig() = default;  // without fields
  // yaml: all fields.
  template <std::convertible_to<std::string> Text> RecordedConfig(Text&& yaml) : yaml_(std::forward<Text>(yaml)) {}
  template <Section Config> RecordedConfig(const Config& config)
      : yaml_(to_yaml(config)),
        restate_([](const YamlNode& earlier) { return yaml_node(read_config<Config>(earlier)); }) {}

  const std::string& yaml() const { return yaml_; }

  // A config that was recorded earlier, with the defaults of fields that are newer than the record. Unchanged if it is
  // not valid today.
  YamlNode restated(const YamlNode& earlier) const {
    if (!restate_) return earlier;
    try {
      return restate_(earlier);
    } catch (const std::invalid_argument&) {
      return earlier;
    }
  }

 private:
  std::string yaml_;
  std::function<YamlNode(const YamlNode&)> restate_;
};

}  // namespace sartor
