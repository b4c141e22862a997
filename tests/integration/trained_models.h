// Fixture that compares the models and logs of runs.
#pragma once

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "integration/fixture.h"
#include "models/hf/safetensors.h"
#include "support/metrics_log.h"

namespace sartor::testing {

using Weights = std::map<std::string, std::vector<float>>;

class TrainedModels : public Programs {
 protected:
  Weights weights(const std::string& run) const {
    const hf::SafetensorsFile file(path(run + "/model/model.safetensors"));
    Weights found;
    for (const auto& tensor : file.tensors()) {
      auto& values = found[tensor.name];
      values.resize(tensor.size());
      std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
    }
    return found;
  }
  void expect_near(const std::string& a, const std::string& b, double tolerance) const {
    const auto mine = weights(a), theirs = weights(b);
    ASSERT_EQ(mine.size(), theirs.size());
    for (const auto& [name, values] : mine) {
      for (size_t i = 0; i < values.size(); i++) ASSERT_NEAR(values[i], theirs.at(name)[i], tolerance) << name;
    }
  }
  std::vector<double> logged(const std::string& run, const std::string& of, const std::string& name) const {
    return values_of(read(run + "/metrics.jsonl"), of, name);
  }
};

}  // namespace sartor::testing
