using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Identity;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Validation;

namespace Isthmus.Lab.ApiServer.Registry;

/// <summary>A write as strategies see it.</summary>
public sealed record WriteContext(KindDescriptor Kind, string Subresource, UserIdentity User, bool DryRun, List<string> Warnings);

/// <summary>
/// A resource reserved for one write, such as an address or a port. It is kept if the write commits, and released otherwise.
/// </summary>
public interface IWriteReservation
{
    /// <summary>Called once, after the write is stored.</summary>
    void Commit();

    /// <summary>Called once instead of <see cref="Commit"/> if the write fails.</summary>
    void Release();
}

/// <summary>How long a deleted object stays. Null removes it at once.</summary>
public readonly record struct DeletionGrace(long? Seconds);

/// <summary>
/// The rules of one kind. The order of a write: decode, <see cref="PrepareForCreate"/> or <see cref="PrepareForUpdate"/>,
/// <see cref="Default"/>,
/// mutating admission, <see cref="Default"/> again, <see cref="Validate"/>, validating admission, <see cref="Reserve"/>, store.
/// </summary>
public abstract class KindStrategy
{
    /// <summary>`metadata.generation` is kept and rises when anything but metadata and status changes.</summary>
    public virtual bool HasGeneration => false;

    /// <summary>A PUT to a name that does not exist creates it.</summary>
    public virtual bool CreateOnUpdate => false;

    /// <summary>A PUT without resourceVersion overwrites. If false, it is rejected.</summary>
    public virtual bool UnconditionalUpdate => true;

    /// <summary>DELETE returns the object even if it is removed at once.</summary>
    public virtual bool DeleteReturnsObject => false;

    /// <summary>Fills in defaults. Idempotent. Also called on objects read from storage of custom resources.</summary>
    public virtual void Default(JsonObject o)
    {
    }

    /// <summary>
    /// For custom resources: drops fields that the schema does not specify, and adds their paths to <paramref name="dropped"/>.
    /// </summary>
    public virtual void Prune(JsonObject o, List<string>? dropped)
    {
    }

    /// <summary>Clears what clients may not set on create (status where it is a subresource) and sets what the server owns.</summary>
    public virtual void PrepareForCreate(JsonObject o, WriteContext context)
    {
    }

    /// <summary>
    /// Restores from <paramref name="old"/> what this path may not change. Called for the main resource and its subresources.
    /// </summary>
    public virtual void PrepareForUpdate(JsonObject old, JsonObject next, WriteContext context)
    {
    }

    public virtual IEnumerable<FieldError> Validate(JsonObject o, WriteContext context) => [];

    public virtual IEnumerable<FieldError> ValidateUpdate(JsonObject old, JsonObject next, WriteContext context) => [];

    /// <summary>Why a name is invalid, or null. Names are DNS-1123 subdomains unless a kind overrides this.</summary>
    public virtual string? NameProblem(string name) => ObjectNames.SubdomainProblem(name);

    /// <summary>Reserves addresses and ports. May change <paramref name="next"/>, which is null for a delete.</summary>
    public virtual IWriteReservation? Reserve(JsonObject? old, JsonObject? next, WriteContext context) => null;

    /// <summary>Called for a DELETE: Pods answer with their grace.</summary>
    /// <param name="requested">gracePeriodSeconds of the request.</param>
    public virtual DeletionGrace Grace(JsonObject o, long? requested) => default;

    /// <summary>
    /// Called before an object is marked deleted or removed: may throw an <see cref="ApiException"/>, and may change the object (a
    /// namespace's phase).
    /// </summary>
    /// <returns>False when the object stays although it has no metadata.finalizers (a namespace with spec.finalizers).</returns>
    public virtual bool BeforeDelete(JsonObject o, WriteContext context) => true;

    /// <summary>True when an object marked deleted, with no finalizers left, may be removed now.</summary>
    public virtual bool MayRemove(JsonObject o) => true;

    /// <summary>
    /// The value of a field label beyond metadata.name and metadata.namespace; null if this kind does not support the label.
    /// </summary>
    public virtual string? FieldLabel(JsonObject o, string field) => null;

    /// <summary>Field labels beyond metadata.name and metadata.namespace.</summary>
    public virtual IReadOnlyCollection<string> FieldLabels => [];

    /// <summary>The kind's Scale, or null where it has none.</summary>
    public virtual ScaleFields? Scale => null;

    /// <summary>
    /// Called after each stored write of this kind, in order of revision, on the writer's thread: must be quick and must not write.
    /// </summary>
    public virtual void Stored(StoredObject? old, StoredObject? next)
    {
    }
}

/// <summary>Where the scale subresource finds its numbers: dotted paths as in CRDs (`.spec.replicas`).</summary>
public sealed record ScaleFields(string SpecReplicas, string StatusReplicas, string? Selector);

/// <summary>A kind with only these rules.</summary>
public sealed class PlainStrategy(bool hasGeneration = false, bool createOnUpdate = false, bool deleteReturnsObject = false) : KindStrategy
{
    public override bool HasGeneration => hasGeneration;

    public override bool CreateOnUpdate => createOnUpdate;

    public override bool DeleteReturnsObject => deleteReturnsObject;
}
