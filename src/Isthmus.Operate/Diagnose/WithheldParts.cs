using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Client;

namespace Isthmus.Operate.Diagnose;

/// <summary>Notes what a user may not read, while the rest is read.</summary>
internal sealed class WithheldParts
{
    private readonly List<WithheldFacts> _parts = [];

    public ValueList<WithheldFacts> All
    {
        get { lock (_parts) return _parts.OrderBy(part => part.Part, StringComparer.Ordinal).ToValueList(); }
    }

    /// <param name="part">What is read.</param>
    /// <param name="otherwise">What is known without it.</param>
    public async Task<T> UnlessRefusedAsync<T>(string part, Task<T> reading, T otherwise)
    {
        try
        {
            return await reading;
        }
        catch (KubeException e) when (e.Code == 403)
        {
            lock (_parts)
                if (_parts.TrueForAll(known => known.Part != part)) _parts.Add(new(part, e.Message));
            return otherwise;
        }
    }
}
