using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Identity;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Validation;

namespace Isthmus.Lab.ApiServer.Registry;

/// <summary>What a write is about, as strategies see it.</summary>
public sealed record WriteContext(KindDescriptor Kind, string Subresource, UserIdentity User, bool DryRun, List<string> Warnings);

/// <summary>Something taken for one write (an address, a port): kept when the write commits, given back otherwise.</summary>
public interface IWriteReservation
{
    /// <summary>Called once, after the write was stored.</summary>
    void Commit();

    /// <summary>Called once instead of <see cref="Commit"/> when the write did not happen.</summary>
    void Release();
}

/// <summary>How long a deleted object stays. Null seconds: it goes at once.</summary>
public readonly record struct DeletionGrace(long? Seconds);

/// <summary>
/// What is particular to one kind. The order for a write: decode, <see cref="PrepareForCreate"/> or <see cref="PrepareForUpdate"/>, <see cref="Default"/>,
/// mutating admission, <see cref="Default"/> again, <see cref="Validate"/>, validating admission, <see cref="Reserve"/>, store.
/// </summary>
public abstract class KindStrategy
{
    /// <summary>`metadata.generation` is kept and rises when anything but metadata and status changes.</summary>
    public virtual bool HasGeneration => false;

    /// <summary>A PUT to a name that does not exist creates it.</summary>
    public virtual bool CreateOnUpdate => false;

    /// <summary>A PUT without resourceVersion overwrites; otherwise it is refused.</summary>
    public virtual bool UnconditionalUpdate => true;

    /// <summary>DELETE answers with the object even if it is gone at once.</summary>
    public virtual bool DeleteReturnsObject => false;

    /// <summary>Fills in defaults. Idempotent. Also called on objects read from storage of custom resources.</summary>
    public virtual void Default(JsonObject o)
    {
    }

    /// <summary>For custom resources: drops what the schema does not know. Unknown paths are added to <paramref name="dropped"/>.</summary>
    public virtual void Prune(JsonObject o, List<string>? dropped)
    {
    }

    /// <summary>Clears what clients may not set on create (status where it is a subresource) and sets what the server owns.</summary>
    public virtual void PrepareForCreate(JsonObject o, WriteContext context)
    {
    }

    /// <summary>Restores from <paramref name="old"/> what this path may not change. Called for the main resource and its subresources.</summary>
    public virtual void PrepareForUpdate(JsonObject old, JsonObject next, WriteContext context)
    {
    }

    public virtual IEnumerable<FieldError> Validate(JsonObject o, WriteContext context) => [];

    public virtual IEnumerable<FieldError> ValidateUpdate(JsonObject old, JsonObject next, WriteContext context) => [];

    /// <summary>Names are DNS-1123 subdomains unless a kind says otherwise. Null when the name is fine.</summary>
    public virtual string? NameProblem(string name) => ObjectNames.SubdomainProblem(name);

    /// <summary>Takes addresses and the like. May change <paramref name="next"/>. For a delete it is null.</summary>
    public virtual IWriteReservation? Reserve(JsonObject? old, JsonObject? next, WriteContext context) => null;

    /// <summary>Called for a DELETE: Pods answer with their grace.</summary>
    /// <param name="requested">gracePeriodSeconds of the request.</param>
    public virtual DeletionGrace Grace(JsonObject o, long? requested) => default;

    /// <summary>Called before an object is marked deleted or removed: may refuse by <see cref="ApiException"/>, may change it (a namespace's phase).</summary>
    /// <returns>False when the object stays although it has no metadata.finalizers (a namespace with spec.finalizers).</returns>
    public virtual bool BeforeDelete(JsonObject o, WriteContext context) => true;

    /// <summary>True when an object marked deleted, with no finalizers left, may be removed now.</summary>
    public virtual bool MayRemove(JsonObject o) => true;

    /// <summary>Values for field selectors beyond metadata.name and metadata.namespace; null: not a label that this kind supports.</summary>
    public virtual string? FieldLabel(JsonObject o, string field) => null;

    /// <summary>Field labels beyond metadata.name and metadata.namespace.</summary>
    public virtual IReadOnlyCollection<string> FieldLabels => [];

    /// <summary>The kind's Scale, or null where it has none.</summary>
    public virtual ScaleFields? Scale => null;

    /// <summary>Called after each stored write of this kind, in order of revision, on the writer's thread: must be quick and must not write.</summary>
    public virtual void Stored(StoredObject? old, StoredObject? next)
    {
    }
}

/// <summary>Where the scale subresource finds its numbers: dotted paths as in CRDs (`.spec.replicas`).</summary>
public sealed record ScaleFields(string SpecReplicas, string StatusReplicas, string? Selector);

/// <summary>A kind without peculiarities beyond these.</summary>
public sealed class PlainStrategy(bool hasGeneration = false, bool createOnUpdate = false, bool deleteReturnsObject = false) : KindStrategy
{
    public override bool HasGeneration => hasGeneration;

    public override bool CreateOnUpdate => createOnUpdate;

    public override bool DeleteReturnsObject => deleteReturnsObject;
}
