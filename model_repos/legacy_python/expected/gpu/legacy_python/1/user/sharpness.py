"""A TorchPipe backend as it was: parameters are texts, items are dictionaries, a list of them is a batch."""

import cv2


class Sharpness:
    """How sharp an image is, its border left out."""

    def init(self, params):
        """Take the node's keys."""
        self.border = int(params.get("border", 0))

    def forward(self, items):
        """Work on a batch in place."""
        for item in items:
            image = item["data"]
            height, width = image.shape[:2]
            inner = image[self.border : height - self.border, self.border : width - self.border]
            grey = cv2.cvtColor(inner, cv2.COLOR_BGR2GRAY)
            item["edges"] = cv2.Laplacian(grey, cv2.CV_64F)
            item["result"] = item["edges"].var()
