import optuna
import torch
from sklearn.datasets import load_digits
from torch import nn

digits = load_digits()
images, labels = torch.tensor(digits.data).float(), torch.tensor(digits.target)


def objective(trial: optuna.Trial, seed: int = 0) -> float:
    torch.manual_seed(seed)
    width = trial.suggest_int("width", 8, 256, log=True)
    net = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))
    optimizer = torch.optim.Adam(net.parameters(), trial.suggest_float("lr", 1e-5, 0.1, log=True))
    for epoch in range(10):
        for batch in torch.randperm(1200).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(images[batch]), labels[batch]).backward()
            optimizer.step()
        accuracy = (net(images[1200:]).argmax(1) == labels[1200:]).float().mean().item()
        trial.report(accuracy, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return accuracy
