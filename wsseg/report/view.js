// Shows the layers of the page with NiiVue, and connects the controls to them.
(async () => {
  const { layers, page } = JSON.parse(document.getElementById("data").textContent);
  const canvas = document.getElementById("canvas");
  const message = document.getElementById("message");
  if (!document.createElement("canvas").getContext("webgl2")) {
    message.textContent = "This browser has no WebGL 2, which the viewer needs.";
    return;
  }
  const black = [0.043, 0.051, 0.063, 1];
  const nv = new niivue.Niivue({
    backColor: black,
    crosshairColor: [1, 1, 1, 0.35],
    isRadiologicalConvention: true,
    isOrientationTextVisible: !page.picture,
    dragAndDropEnabled: false,
    dragMode: page.picture ? niivue.DRAG_MODE.pan : niivue.DRAG_MODE.contrast,
    loadingText: "",
    logLevel: "error",
    isNearestInterpolation: true,
    multiplanarShowRender: niivue.SHOW_RENDER.ALWAYS,
    multiplanarEqualSize: false,
  });
  await nv.attachToCanvas(canvas);

  // From transparent to the colour; a mask has the values 0 and 1 only.
  const tint = (colour) => {
    const [r, g, b] = [1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16));
    return { R: [r, r], G: [g, g], B: [b, b], A: [0, 255], I: [0, 255] };
  };
  for (const [index, layer] of layers.entries()) {
    const volume = await niivue.NVImage.loadFromBase64({ base64: layer.nifti, name: `${index}.nii.gz` });
    if (layer.kind === "image") {
      [volume.cal_min, volume.cal_max] = layer.window;
    } else {
      nv.addColormap(`tint${index}`, layer.kind === "probability" ? heat() : tint(layer.colour));
      volume.setColormap(`tint${index}`);
      [volume.cal_min, volume.cal_max] = [0, 1];
    }
    volume.opacity = layer.shown ? layer.opacity : 0;
    nv.addVolume(volume);
  }

  function heat() {
    return { R: [0, 122, 240, 255], G: [0, 20, 110, 250], B: [0, 110, 50, 200], A: [0, 160, 220, 255], I: [0, 85, 170, 255] };
  }

  const [columns, rows, slices] = nv.volumes[0].dims.slice(1, 4);
  nv.opts.crosshairWidth = page.picture ? 0 : columns / 600; // in voxels
  nv.scene.crosshairPos = nv.vox2frac([columns / 2, rows / 2, page.slice]);
  buildLayers();
  if (!page.picture) buildModes();
  if (slices > 1) buildSlider();
  nv.setSliceType(nv.sliceTypeAxial);
  nv.updateGLVolume();
  message.textContent = "";
  document.documentElement.dataset.ready = "";

  // A canvas of WebGL is empty when a page is printed, so a copy of it is.
  addEventListener("beforeprint", () => {
    const printed = document.getElementById("printed");
    [printed.width, printed.height] = [canvas.width, canvas.height];
    nv.drawScene();
    printed.getContext("2d").drawImage(canvas, 0, 0);
  });

  function buildLayers() {
    for (const [index, layer] of layers.entries()) {
      const row = document.createElement("div");
      row.className = "layer";
      const label = document.createElement("label");
      const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: layer.shown });
      const swatch = Object.assign(document.createElement("span"), { className: "swatch" });
      if (layer.kind === "image") swatch.style.background = "linear-gradient(90deg, #000, #fff)";
      else if (layer.kind === "probability") swatch.style.background = "linear-gradient(90deg, #7a146e, #f06e32, #fffac8)";
      else swatch.style.background = layer.colour;
      label.append(box, swatch, layer.label);
      const slider = Object.assign(document.createElement("input"), {
        type: "range", min: 0, max: 1, step: 0.05, value: layer.opacity, title: "Opacity",
      });
      slider.setAttribute("aria-label", `Opacity of ${layer.label}`);
      const apply = () => nv.setOpacity(index, box.checked ? Number(slider.value) : 0);
      box.addEventListener("change", apply);
      slider.addEventListener("input", () => { box.checked = true; apply(); });
      row.append(label, slider);
      document.getElementById("layers").append(row);
    }
  }

  function buildModes() {
    const modes = {
      Axial: nv.sliceTypeAxial, Coronal: nv.sliceTypeCoronal, Sagittal: nv.sliceTypeSagittal,
      All: nv.sliceTypeMultiplanar, "3-D": nv.sliceTypeRender,
    };
    const buttons = Object.entries(modes).map(([name, type]) => {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: name });
      button.setAttribute("aria-pressed", String(name === "Axial"));
      button.addEventListener("click", () => {
        nv.setSliceType(type);
        buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
      });
      return button;
    });
    document.getElementById("modes").append(...buttons);
  }

  function buildSlider() {
    const control = document.getElementById("slices");
    const [slider, output] = [control.querySelector("input"), control.querySelector("output")];
    const show = (z) => { slider.value = z; output.textContent = `${z + 1} of ${slices}`; };
    slider.max = slices - 1;
    slider.addEventListener("input", () => {
      const [x, y] = nv.frac2vox(nv.scene.crosshairPos);
      nv.scene.crosshairPos = nv.vox2frac([x, y, Number(slider.value)]);
      nv.drawScene();
      nv.createOnLocationChange();
    });
    nv.onLocationChange = (location) => {
      const [x, y, z] = location.vox.map(Math.round);
      show(z);
      const value = Number(location.values[0].value.toPrecision(4));
      document.getElementById("place").textContent = `Column ${x + 1}, row ${y + 1}: ${value}`;
    };
    show(page.slice);
    control.hidden = false;
  }
})();
