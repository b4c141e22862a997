#include "models/hf/weights.h"

#include <gmock/gmock.h>

#include "support/folder_test.h"

namespace sartor::hf {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class WeightsTest : public sartor::testing::FolderTest {
 protected:
  void write_shard(const std::string& file, std::vector<std::string> names) {
    std::vector<TensorView> tensors;
    for (const auto& name : names) tensors.push_back({name, Dtype::f32, {3}, std::as_bytes(std::span(values_))});
    write_safetensors(path(file), tensors);
  }
  void refused(const std::string& why) {
    EXPECT_THAT([&] { Weights{folder_}; }, ThrowsMessage<std::invalid_argument>(HasSubstr(why)));
  }
  std::vector<float> values_ = {1, 2, 3};
};

TEST_F(WeightsTest, AreOneFileOrShards) {
  write_shard("model-1.safetensors", {"a", "b"});
  write_shard("model-2.safetensors", {"c"});
  write(
      "model.safetensors.index.json",
      R"({"metadata": {"total_size": 36}, "weight_map": {"a": "model-1.safetensors", "b": "model-1.safetensors", "c": "model-2.safetensors"}})");
  const Weights shards(folder_);
  EXPECT_EQ(shards.tensors().size(), 3);
  EXPECT_EQ(shards.find("c")->size(), 3);
  EXPECT_EQ(shards.find("d"), nullptr);
  shards.release();

  write_shard("model.safetensors", {"only"});
  EXPECT_EQ(Weights(folder_).tensors().size(), 1);
}

TEST_F(WeightsTest, NamesWhatIsWrong) {
  refused("has neither model.safetensors nor model.safetensors.index.json");
  write("pytorch_model.bin", "x");
  refused("a pickle, which is not supported");
  const auto index = [&](const std::string& map) {
    write("model.safetensors.index.json", "{\"weight_map\": " + map + "}");
  };
  write_shard("s.safetensors", {"a", "b"});
  index(R"({"a": "s.safetensors"})");
  refused("s.safetensors has tensor b, but weight_map does not assign it to that file");
  index(R"({"a": "s.safetensors", "b": "s.safetensors", "c": "s.safetensors"})");
  refused("s.safetensors lacks tensor c");
  index(R"({"a": "s.safetensors", "b": "absent.safetensors"})");
  refused("absent.safetensors");
  for (const auto* name : {"../s.safetensors", "/etc/passwd", "a\\\\b", "", "..", "."}) {
    index(std::string("{\"a\": \"") + name + "\"}");
    refused("is not the name of a file in the folder of the index");
  }
  index(R"({"a": 1})");
  refused("weight_map: a: found an integer");
  index("[]");
  refused("expected an object with an object weight_map");
  write("model.safetensors.index.json", "{");
  refused("invalid JSON at byte");
}

}  // namespace
}  // namespace sartor::hf
