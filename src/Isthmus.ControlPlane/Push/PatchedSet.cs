using Google.Protobuf;
using Isthmus.Wire.Xds;

namespace Isthmus.ControlPlane.Push;

/// <summary>A set of resources as EnvoyFilters change it. Only resources that changed are patched again.</summary>
/// <param name="patch">Changes a resource; null removes it.</param>
/// <param name="added">Resources that patches add.</param>
internal sealed class PatchedSet(Func<XdsResource, XdsResource?> patch, IReadOnlyList<XdsResource> added)
{
    private ResourceSet _raw = ResourceSet.Empty;
    private ResourceSet _patched = ResourceSet.Empty.With([], added);

    public ResourceSet Of(ResourceSet raw)
    {
        if (ReferenceEquals(raw, _raw)) return _patched;
        var changed = raw.ChangedSince(_raw) ?? [.. raw.Items.Keys.Union(_raw.Items.Keys)];
        var made = changed.Select(name => raw.TryGet(name, out var resource) ? patch(resource) : null).OfType<XdsResource>().ToList();
        _patched = _patched.With(changed.Except(made.Select(resource => resource.Name)),
            [.. made, .. added.Where(resource => changed.Contains(resource.Name))]);
        _raw = raw;
        return _patched;
    }
}
