"""A module, images and labels of your own, from an empty folder to a report: which quarter of a picture is bright."""

import torch
from torch import nn

import vitreous


class Net(nn.Module):
    """One block of a vision transformer, of PyTorch's own parts."""

    def __init__(self):
        super().__init__()
        self.patches, self.position = nn.Conv2d(1, 32, 4, 4), nn.Parameter(torch.zeros(1, 16, 32))
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(32), nn.LayerNorm(32), nn.LayerNorm(32)
        self.mix, self.head = nn.MultiheadAttention(32, 2, batch_first=True), nn.Linear(32, 4)
        self.mlp = nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 32))

    def forward(self, images):
        x = self.patches(images).flatten(2).transpose(1, 2) + self.position
        y = self.norm1(x)
        x = x + self.mix(y, y, y, need_weights=False)[0]
        return self.head(self.norm3((x + self.mlp(self.norm2(x))).mean(1)))


torch.manual_seed(0)
net, labels = Net(), torch.arange(1000) % 4
images = torch.randn(1000, 1, 16, 16) + torch.eye(4)[labels].reshape(-1, 1, 2, 2).kron(torch.ones(8, 8))
optimizer = torch.optim.Adam(net.parameters(), 5e-3)
for _ in range(60):
    loss = nn.functional.cross_entropy(net(images[:800]), labels[:800])
    optimizer.zero_grad(), loss.backward(), optimizer.step()
print(vitreous.run(net, "edge64", calibration=images[:64], test=(images[800:], labels[800:])))
