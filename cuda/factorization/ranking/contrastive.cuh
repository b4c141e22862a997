// GPU versions of contrastive_epoch and contrastive_users, called after their checks.
#pragma once

#include "factorization/ranking/contrastive.h"

namespace sartor::cuda {

void contrastive_epoch_gpu(Context& context, const ContrastiveTask& task);
void contrastive_users_gpu(Context& context, const ContrastiveUsersTask& task);

}  // namespace sartor::cuda
