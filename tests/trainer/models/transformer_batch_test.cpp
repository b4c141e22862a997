#include "models/transformer/batch.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "trainer/models/bert_support.h"

namespace sartor::transformer {
namespace {

using namespace bert::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

const InputSpec small = {.vocabulary = 61, .token_types = 2, .longest_sequence = 200};

std::vector<int64_t> values(const at::Tensor& tensor) {
  return {tensor.data_ptr<int64_t>(), tensor.data_ptr<int64_t>() + tensor.numel()};
}

TEST(Pack, LaysSequencesEndToEnd) {
  const Rows rows = {{5, 6, 7}, {8}, {9, 10}}, types = {{0, 0, 1}, {1}, {0, 1}};
  const auto batch = pack(small, rows, types);
  EXPECT_THAT(values(batch.input_ids_T), ElementsAre(5, 6, 7, 8, 9, 10));
  EXPECT_THAT(values(batch.position_ids_T), ElementsAre(0, 1, 2, 0, 0, 1));
  EXPECT_THAT(values(batch.token_type_ids_T), ElementsAre(0, 0, 1, 1, 0, 1));
  EXPECT_THAT(batch.offsets, ElementsAre(0, 3, 4, 6));
  EXPECT_THAT(values(batch.places_T), ElementsAre(0, 1, 2, 3, 6, 7));
  EXPECT_THAT(values(batch.first_rows_B), ElementsAre(0, 3, 4));
  EXPECT_THAT(values(batch.sequences_T), ElementsAre(0, 0, 0, 1, 2, 2));
  EXPECT_TRUE(batch.offsets_B1.equal(at::tensor({0, 3, 4, 6}, at::kInt)));
  EXPECT_EQ(batch.longest, 3);
  EXPECT_EQ(batch.batch(), 3);
  EXPECT_EQ(batch.tokens(), 6);
}

TEST(Pack, TakesRowsOutOfManyAsTokenizersGiveThem) {
  const std::vector<int64_t> offsets = {0, 2, 3, 6}, chosen = {2, 0};
  const std::vector<int32_t> ids = {9, 10, 8, 5, 6, 7};
  const std::vector<uint8_t> types = {0, 1, 1, 0, 0, 1};
  const auto found = pack(small, TokenRows{offsets, ids, types}, chosen);
  const Rows rows = {{5, 6, 7}, {9, 10}}, row_types = {{0, 0, 1}, {0, 1}};
  const auto expected = pack(small, rows, row_types);
  EXPECT_TRUE(found.input_ids_T.equal(expected.input_ids_T));
  EXPECT_TRUE(found.position_ids_T.equal(expected.position_ids_T));
  EXPECT_TRUE(found.token_type_ids_T.equal(expected.token_type_ids_T));
  EXPECT_TRUE(found.places_T.equal(expected.places_T));
  EXPECT_EQ(found.offsets, expected.offsets);
  EXPECT_EQ(found.longest, 3);
  EXPECT_EQ(found.padded_length, 3);
}

TEST(Pack, PositionsMayCountFromBehindThePadding) {
  auto model = small;
  model.padding = 1;
  const Rows rows = {{5, 1, 7}, {8}};  // with a padding token inside a text, as in transformers
  EXPECT_THAT(values(pack(model, rows).position_ids_T), ElementsAre(2, 1, 3, 2));
  model.longest_sequence = 2;
  EXPECT_NO_THROW(pack(model, rows));
  const Rows longer = {{5, 1, 7, 8}};
  EXPECT_THAT([&] { pack(model, longer); }, ThrowsMessage<std::invalid_argument>(HasSubstr("model's 2 positions")));
}

TEST(Pack, AModelMayKnowNoTokenTypes) {
  auto model = small;
  model.token_types = 0;
  const Rows rows = {{5, 6}}, none = {{0, 0}}, some = {{0, 1}};
  EXPECT_FALSE(pack(model, rows).token_type_ids_T.defined());
  EXPECT_FALSE(pack(model, rows, none).token_type_ids_T.defined());
  EXPECT_THAT([&] { pack(model, rows, some); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("token type 1, the model has none")));
}

TEST(Pack, AndUnpackAreInverse) {
  const auto padded = pad(random_rows({4, 1, 9}), {}, 0, 2);
  const auto batch = pack(small, padded.ids, padded.mask);
  const auto values = at::randn({batch.tokens(), 5}).requires_grad_();
  const auto restored = unpack(values, batch);
  EXPECT_EQ(restored.sizes(), at::IntArrayRef({3, 11, 5}));
  EXPECT_TRUE(restored.view({33, 5}).index_select(0, batch.places_T).equal(values));
  EXPECT_EQ(restored.count_nonzero().item<int64_t>(), values.count_nonzero().item<int64_t>());  // padding is 0
  restored.sum().backward();
  EXPECT_TRUE(values.grad().equal(at::ones_like(values)));
}

TEST(Pack, NamesWhatTheModelHasNot) {
  const auto packing = [&](Rows rows, Rows types = {}) { return [rows, types] { pack(small, rows, types); }; };
  EXPECT_THAT(packing({{3}, {61}}),
              ThrowsMessage<std::invalid_argument>(HasSubstr("sequence 1: token id 61, the vocabulary has 61")));
  EXPECT_THAT(packing({{-1}}), ThrowsMessage<std::invalid_argument>(HasSubstr("token id -1")));
  EXPECT_THAT(packing({{3}}, {{2}}), ThrowsMessage<std::invalid_argument>(HasSubstr("token type 2, the model has 2")));
  EXPECT_THAT(packing({{3}, {}}), ThrowsMessage<std::invalid_argument>(HasSubstr("sequence 1 has no token")));
  EXPECT_THAT(packing({{3}}, {{0}, {0}}),
              ThrowsMessage<std::invalid_argument>(HasSubstr("1 sequences, but 2 sequences of token types")));
  EXPECT_THAT(packing({{3, 4}}, {{0}}), ThrowsMessage<std::invalid_argument>(HasSubstr("2 tokens, 1 token types")));
  EXPECT_THAT(packing(random_rows({201})), ThrowsMessage<std::invalid_argument>(HasSubstr("200 positions")));
  const auto ids = at::ones({2, 3}, at::kLong);
  EXPECT_THAT(
      [&] {
        pack(small, ids, at::ones({2, 2}, at::kLong));
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("differ in shape")));
  EXPECT_THAT(
      [&] {
        pack(small, ids, at::zeros({2, 3}, at::kLong));
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("sequence 0 has no token")));
}

TEST(TokenBudgetBatches, HoldTheBudgetAndEveryRowOnce) {
  const std::vector<int64_t> lengths = {5, 100, 3, 5, 64, 1, 200, 3};
  const auto batches = token_budget_batches(lengths, 128);
  std::vector<int64_t> seen;
  for (const auto& batch : batches) {
    int64_t tokens = 0;
    for (const auto row : batch) {
      tokens += lengths[row];
      seen.push_back(row);
    }
    EXPECT_TRUE(tokens <= 128 || batch.size() == 1);
  }
  EXPECT_THAT(seen, ElementsAre(6, 1, 4, 0, 3, 2, 7, 5));
  EXPECT_TRUE(token_budget_batches({}, 128).empty());
}

}  // namespace
}  // namespace sartor::transformer
